/** TCP ports. etcd's clients and tools expect these; nothing lets anyone change them. */
export const ports = {
  ssh: 22,
  https: 443,
  client: 2379,
  peer: 2380,
  /** Metrics and /readyz, in clear, open to the balancer's health checks only. */
  metrics: 2381,
} as const;
