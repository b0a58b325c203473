// An extension of JupyterLab: links to a section lead to that section, and lines break between words.
//
// JupyterLab 4.6 looks for the section as soon as the file is loaded. A notebook that was not open has
// then drawn no heading, so it stays at its top; in one that is open, cells that are drawn later, or
// found to be taller than estimated, move the section away. It also compares the link as it is escaped
// in the address (%27) with the heading as it is written ('), and the anchors of GitHub with its own.
//
// This file is what JupyterLab loads: it has no build step.

const LINK = 'rendermime:handle-local-link';
const MAX_WAIT = 60_000; // ms, in which a reader who does not touch the notebook is led to the section
const STILL = 1_000; // ms without a movement, after which the section has its place
const INPUTS = ['wheel', 'pointerdown', 'keydown', 'touchstart'];

let latest = 0; // the number of the last link that was followed

const STYLE = `
  .jp-RenderedHTMLCommon { word-break: keep-all; overflow-wrap: break-word; }
  .jp-OutputArea-output pre { word-break: normal; overflow-wrap: anywhere; }
`;

const activate = app => {
  document.head.appendChild(document.createElement('style')).textContent = STYLE;
  const follow = (target, path) => lead(app, target, path).catch(console.warn);
  app.commands.commandExecuted.connect((_, {id, args}) => {
    if (id === LINK && args.id) follow(args.id, args.path);
  });
  document.addEventListener('click', ({target}) => {
    const link = target.closest?.('.jp-RenderedHTMLCommon a[href^="#"]');
    if (link) follow(link.getAttribute('href'), app.shell.currentWidget?.context?.path);
  });
};

// Lead to a section of a file; stop when the reader does something else.
async function lead(app, target, path) {
  const section = decodeURIComponent(target.slice(1));
  const number = ++latest;
  const end = performance.now() + MAX_WAIT;
  const panel = await opened(app, path, () => number === latest && performance.now() < end);
  if (!panel) return;
  let isTouched = false;
  const stop = () => { isTouched = true; };
  INPUTS.forEach(type => panel.node.addEventListener(type, stop, {capture: true, passive: true}));
  try {
    let since = performance.now();
    let before = null;
    while (!isTouched && number === latest && app.shell.currentWidget === panel && performance.now() < end) {
      const heading = find(panel.node, section);
      heading?.scrollIntoView();
      const place = heading?.getBoundingClientRect().top ?? null;
      if (place === null || place !== before || !isDrawn(panel)) since = performance.now();
      if (performance.now() - since > STILL) return;
      before = place;
      await new Promise(requestAnimationFrame);
    }
  } finally {
    INPUTS.forEach(type => panel.node.removeEventListener(type, stop, {capture: true}));
  }
}

// Return the panel of a file when it is the current one; null when it is not waited for any more.
async function opened(app, path, isWaitedFor) {
  while (isWaitedFor()) {
    const panel = app.shell.currentWidget;
    if (panel?.context?.path === path && panel.context.isReady) return panel;
    await new Promise(requestAnimationFrame);
  }
  return null;
}

// A notebook draws the cells that are out of sight when it has time.
const isDrawn = panel => !panel.content.widgets?.some(cell => cell.isPlaceholder?.());

const find = (node, section) => {
  const headings = [...node.querySelectorAll('[data-jupyter-id]')];
  return headings.find(heading => name(heading.dataset.jupyterId) === name(section));
};

// GitHub's anchors are in small letters, without most signs.
const name = anchor => anchor.toLowerCase().replace(/[^\p{L}\p{N}_-]/gu, '');

const plugin = {id: 'kst-workbook:links', autoStart: true, activate};
window._JUPYTERLAB = window._JUPYTERLAB ?? {};
window._JUPYTERLAB['kst-workbook'] = {
  init: () => {},
  get: async () => () => ({__esModule: true, default: plugin}),
};
