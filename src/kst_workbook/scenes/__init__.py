"""What a notebook runs beside itself: services to break, replicas, workers, the capstone."""
