"""What our method is held against, each as good as its idea allows."""
