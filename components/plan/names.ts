/** Physical names. All are explicit and derived from the cluster's name, so that an operator finds an orphan by its name. */

/** Longest name of a cluster. Load balancers and target groups have 32 characters at most, of which we append up to 7. */
export const maxClusterNameLength = 24;

/** What is wrong with a cluster's name, or undefined. Reasons are AWS's own rules for the names made from it. */
export function clusterNameProblem(name: string): string | undefined {
  if (name.length > maxClusterNameLength) {
    return `a cluster's name has at most ${maxClusterNameLength} characters (load balancers and target groups have 32, with what is appended)`;
  }
  if (!/^[a-z]([a-z0-9-]*[a-z0-9])?$/.test(name)) {
    return "a cluster's name is made of lower-case letters, digits and hyphens, begins with a letter and ends with a letter or digit (bucket, balancer and DNS names)";
  }
  if (name.includes("--")) {
    return "a cluster's name has no two hyphens in a row (bucket and DNS names)";
  }
  if (/^(internal-|aws|ssm|amzn-|sthree-|sthree$|sg-|sg$)/.test(name)) {
    return "a cluster's name does not begin with internal-, aws, ssm, amzn, sthree or sg (reserved by load balancers, SSM, S3 and security groups)";
  }
  return undefined;
}

/** What is wrong with a DNS domain for the private zone, or undefined. */
export function domainProblem(domain: string): string | undefined {
  const labels = domain.split(".");
  return domain.length <= 200 &&
    labels.length >= 2 &&
    labels.every((label) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label))
    ? undefined
    : "a domain is two or more labels of lower-case letters, digits and hyphens, at most 200 characters, without a final dot";
}

/** Names of one cluster's resources. IAM is global, hence the region in its names; bucket names are global to everybody. */
export function physicalNames(cluster: string, region: string) {
  return {
    bucket: (accountId: string) => `${cluster}-${accountId}-${region}`,
    keyAlias: `alias/etcd-cluster/${cluster}`,
    role: (owner: string) => `${cluster}-${owner}-${region}`,
    group: (member: string) => `${cluster}-${member}`,
    launchTemplate: (member: string) => `${cluster}-${member}`,
    keyPair: `${cluster}-operator`,
    balancer: cluster,
    targetGroup: `${cluster}-client`,
    securityGroup: (part: string) => `${cluster}-${part}`,
    domain: `${cluster}.internal`,
    topic: `${cluster}-alarms`,
    dashboard: cluster,
    alarm: (what: string) => `${cluster}-${what}`,
  };
}
