import type { Problem } from "./problems";

/** What may be chosen about alarms; EtcdClusterArgs documents each. */
export interface MonitoringOptions {
  enabled?: boolean | undefined;
  topicArn?: unknown;
  email?: string | undefined;
  backupAgeMinutes?: number | undefined;
  drillAgeHours?: number | undefined;
  certificateDaysLeft?: number | undefined;
}

/** The same with every default filled in. */
export interface ResolvedMonitoring {
  readonly enabled: boolean;
  /** An existing topic; may not be known yet. */
  readonly topicArn: unknown;
  readonly email: string | undefined;
  readonly backupAgeMinutes: number;
  readonly drillAgeHours: number;
  readonly certificateDaysLeft: number;
}

/** What the defaults and limits depend on. */
export interface MonitoringBasis {
  readonly backup: { readonly everyMinutes: number; readonly drillEveryHours: number };
  readonly certificateRenewalDays: number;
}

/** Days before the first certificate ends; with short-lived ones, half of the time in which an `up` renews them. */
const certificateDays = 30;

/** Fills in the defaults: two turns may be missed before anybody is woken, with time for what a turn takes. */
export function resolveMonitoring(
  options: MonitoringOptions = {},
  { backup, certificateRenewalDays }: MonitoringBasis,
): ResolvedMonitoring {
  return {
    enabled: options.enabled ?? true,
    topicArn: options.topicArn,
    email: options.email,
    backupAgeMinutes: options.backupAgeMinutes ?? 2 * backup.everyMinutes + 15,
    drillAgeHours: options.drillAgeHours ?? 2 * backup.drillEveryHours + 1,
    certificateDaysLeft:
      options.certificateDaysLeft ??
      Math.max(1, Math.min(certificateDays, Math.floor(certificateRenewalDays / 2))),
  };
}

/** Checks them. */
export function validateMonitoring(
  monitoring: ResolvedMonitoring,
  { backup, certificateRenewalDays }: MonitoringBasis,
): Problem[] {
  const { topicArn, email } = monitoring;
  const limits = [
    {
      field: "backupAgeMinutes",
      least: backup.everyMinutes + 1,
      most: 14_400,
      what: "the age of the newest backup that raises an alarm, in minutes and above backup.everyMinutes,",
    },
    {
      field: "drillAgeHours",
      least: backup.drillEveryHours + 1,
      most: 2160,
      what: "the time without a proven backup that raises an alarm, in hours and above backup.drillEveryHours,",
    },
    {
      field: "certificateDaysLeft",
      least: 1,
      most: Math.max(1, certificateRenewalDays),
      what: "the days before a certificate's end at which an alarm is raised, within certificateRenewalDays (before that nothing renews it),",
    },
  ] as const;
  return [
    ...limits.flatMap(({ field, least, most, what }): Problem[] => {
      const value = monitoring[field];
      return Number.isSafeInteger(value) && value >= least && value <= most
        ? []
        : [
            {
              path: `monitoring.${field}`,
              value,
              rule: `${what} is a whole number from ${least} to ${most}`,
              remedy: "choose one in that range, or leave it out",
            },
          ];
    }),
    ...(typeof topicArn === "string" &&
    !/^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}$/.test(topicArn)
      ? [
          {
            path: "monitoring.topicArn",
            value: topicArn,
            rule: "an alarm speaks to a standard SNS topic, by its ARN",
            remedy:
              "give an ARN like arn:aws:sns:eu-central-1:123456789012:alerts, or leave it out for a topic of the cluster's own",
          },
        ]
      : []),
    ...(email !== undefined && !/^[^\s@,;<>]{1,64}@[^\s@,;<>]+\.[^\s@,;<>.]+$/.test(email)
      ? [
          {
            path: "monitoring.email",
            value: email,
            rule: "alarms go to one address",
            remedy: "give an address like etcd@example.com, or leave it out",
          },
        ]
      : []),
    ...(email !== undefined && topicArn !== undefined
      ? [
          {
            path: "monitoring.email",
            value: email,
            rule: "who hears of an existing topic is its owner's affair",
            remedy: "subscribe the address there, or leave monitoring.topicArn out",
          },
        ]
      : []),
  ];
}
