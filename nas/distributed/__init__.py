"""What runs on a Ray cluster; everything here works without one on a single machine, too."""
