"""Where and how the cluster runs: on one machine, in containers, on a larger Kafka."""
