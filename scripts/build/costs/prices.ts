/** List prices of eu-central-1, and where each was read. AWS's own price pages load their figures by script, so most come from others. */

/** When they were noted. */
export const notedOn = "2026-11-21";

/** Hours that a month is counted as, as AWS's own calculator does. */
export const hoursPerMonth = 730;

/** One price, in USD. */
export interface Price {
  readonly usd: number;
  /** What it buys. */
  readonly per: string;
  /** Where it was read. */
  readonly from: string;
}

/** Marks a price that was found nowhere, so that nobody takes it for a reading. */
const unconfirmed = "not found in writing";

/** On-demand Linux instances, by type. */
export const instances: Readonly<Record<string, Price>> = {
  "t3.nano": { usd: 0.006, per: "hour", from: "a public price table; half of t3.micro" },
  "t3.micro": {
    usd: 0.012,
    per: "hour",
    from: "two public price tables; an eighth of t3.large's 0.096 in a third",
  },
  "t3.small": {
    usd: 0.024,
    per: "hour",
    from: "two public price tables; a quarter of t3.large's 0.096 in a third",
  },
  "t3.medium": {
    usd: 0.048,
    per: "hour",
    from: "half of t3.large's 0.096 in a public price table",
  },
  "m7i.large": {
    usd: 0.12075,
    per: "hour",
    from: `${unconfirmed} for this region; 1.05 of m6i.large's 0.115 in a public price table, as in us-east-1`,
  },
};

/** Everything else that this project is billed for. */
export const prices = {
  gp3Storage: {
    usd: 0.0952,
    per: "GiB-month",
    from: "[an article](https://hendric-jabs.de/2023/11/02/gp3-in-2-minuten/), and a bill of 2026",
  },
  gp3Iops: {
    usd: 0.006,
    per: "IOPS-month above 3000",
    from: "[the same article](https://hendric-jabs.de/2023/11/02/gp3-in-2-minuten/)",
  },
  gp3Throughput: {
    usd: 0.048,
    per: "MiB/s-month above 125",
    from: "[the same article](https://hendric-jabs.de/2023/11/02/gp3-in-2-minuten/)",
  },
  natHour: {
    usd: 0.052,
    per: "gateway-hour",
    from: "[an article](https://cloudpipelines.pages.dev/guides/aws-nat-gateway-pricing-2026/) says 0.048 to 0.052",
  },
  natData: { usd: 0.052, per: "GB", from: "a public price table" },
  publicIpv4: {
    usd: 0.005,
    per: "address-hour",
    from: "[an article](https://cloudburn.io/blog/aws-nat-gateway-pricing), and a bill of 2026",
  },
  endpointHour: { usd: 0.012, per: "endpoint-hour in one zone", from: "a price list of 2026-09" },
  balancerHour: { usd: 0.027, per: "balancer-hour", from: "a public price table of 2017" },
  balancerUnit: {
    usd: 0.006,
    per: "NLCU-hour (1 GB of TCP)",
    from: "[an article](https://awsnegotiations.com/elastic-load-balancer-cost.html), us-east-1",
  },
  kmsKey: {
    usd: 1,
    per: "key-month, and each yearly rotation as much again",
    from: "[AWS](https://aws.amazon.com/kms/pricing/)",
  },
  kmsRequest: {
    usd: 0.000003,
    per: "request",
    from: "[an article](https://www.wring.co/blog/aws-kms-pricing-guide)",
  },
  s3Storage: { usd: 0.0245, per: "GB-month", from: "four public price tables" },
  s3Write: {
    usd: 0.0000054,
    per: "put or list",
    from: `${unconfirmed} for this region; 0.000005 in us-east-1`,
  },
  s3Read: {
    usd: 0.00000043,
    per: "get",
    from: `${unconfirmed} for this region; 0.0000004 in us-east-1`,
  },
  metric: {
    usd: 0.3,
    per: "custom metric-month",
    from: "[an article](https://cal53.calculator.city/cloudwatch-custom-metrics-calculator/)",
  },
  metricRequest: { usd: 0.00001, per: "PutMetricData", from: unconfirmed },
  alarm: { usd: 0.1, per: "alarm's metric-month", from: "a public price table" },
  dashboard: { usd: 3, per: "dashboard-month", from: unconfirmed },
  hostedZone: {
    usd: 0.5,
    per: "zone-month",
    from: "[an article](https://ns1.com/resources/aws-dns), and a bill of 2026",
  },
  dnsQuery: { usd: 0.0000004, per: "query", from: unconfirmed },
  betweenZones: {
    usd: 0.02,
    per: "GB, 0.01 at each end",
    from: "[AWS](https://aws.amazon.com/blogs/networking-and-content-delivery/optimizing-data-transfer-costs-when-using-aws-network-load-balancer)",
  },
} as const satisfies Readonly<Record<string, Price>>;
