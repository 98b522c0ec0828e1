import type { ResourceRecordSet, RRType, VPCRegion } from "@aws-sdk/client-route-53";

import { flag, number, object, set, text, type InputsOf } from "../shared/schema.ts";
import {
  awsResource,
  completing,
  fromTagList,
  given,
  textOf,
  toTagList,
  type TagChange,
} from "./awsResource.ts";
import type { Aws } from "./environment.ts";
import { codeOf, until } from "./waiting.ts";
import type { Context } from "../shared/resource.ts";

/** aws.route53.Zone */
export const zone = awsResource({
  type: "aws:route53/zone:Zone",
  fields: {
    name: text({ required: true, replaces: true }),
    comment: text(),
    forceDestroy: flag(),
    vpcs: set(object({ vpcId: text({ required: true }), vpcRegion: text() })),
  },
  computed: ["arn", "zoneId", "nameServers", "primaryNameServer"],
  isGlobal: true,
  normalize: (inputs) => ({ comment: "Managed by Pulumi", forceDestroy: false, ...inputs }),
  missing: ["NoSuchHostedZone"],
  retag: async (aws, id, { set: added, unset }: TagChange) => {
    await (
      await aws.route53()
    ).changeTagsForResource({
      ResourceType: "hostedzone",
      ResourceId: id,
      ...(Object.keys(added).length === 0 ? {} : { AddTags: toTagList(added) }),
      ...(unset.length === 0 ? {} : { RemoveTagKeys: [...unset] }),
    });
  },
  create: async (inputs, { aws, tags, context }) => {
    const route53 = await aws.route53();
    const [first, ...others] = inputs.vpcs ?? [];
    const { HostedZone, ChangeInfo } = await route53.createHostedZone({
      Name: inputs.name,
      CallerReference: `${context.name}-${Date.now()}`,
      HostedZoneConfig: { Comment: inputs.comment, PrivateZone: first !== undefined },
      VPC: first && vpcRequest(aws, first),
    });
    const id = bareId(HostedZone?.Id);
    return completing(id, async () => {
      await inSync(aws, ChangeInfo?.Id, context);
      for (const one of others) {
        await route53.associateVPCWithHostedZone({ HostedZoneId: id, VPC: vpcRequest(aws, one) });
      }
      if (Object.keys(tags).length > 0) {
        await route53.changeTagsForResource({
          ResourceType: "hostedzone",
          ResourceId: id,
          AddTags: toTagList(tags),
        });
      }
    });
  },
  read: async (id, _state, aws) => {
    const route53 = await aws.route53();
    const [{ HostedZone, DelegationSet }, tags] = await Promise.all([
      route53.getHostedZone({ Id: id }),
      route53.listTagsForResource({ ResourceType: "hostedzone", ResourceId: id }),
    ]);
    return {
      arn: `arn:${aws.partition}:route53:::hostedzone/${id}`,
      zoneId: id,
      name: HostedZone?.Name?.replace(/\.$/, ""),
      comment: HostedZone?.Config?.Comment,
      nameServers: DelegationSet?.NameServers ?? [],
      primaryNameServer: DelegationSet?.NameServers?.[0],
      tagsAll: fromTagList(tags.ResourceTagSet?.Tags),
    };
  },
  update: async ({ id, olds, news, changed }, { aws }) => {
    const route53 = await aws.route53();
    if (changed.has("comment")) {
      await route53.updateHostedZoneComment({ Id: id, Comment: news.comment });
    }
    const has = (among: typeof news.vpcs, vpcId: string) =>
      among?.some((one) => one.vpcId === vpcId) === true;
    for (const one of (news.vpcs ?? []).filter(({ vpcId }) => !has(olds.vpcs, vpcId))) {
      await route53.associateVPCWithHostedZone({ HostedZoneId: id, VPC: vpcRequest(aws, one) });
    }
    for (const one of (olds.vpcs ?? []).filter(({ vpcId }) => !has(news.vpcs, vpcId))) {
      await route53.disassociateVPCFromHostedZone({ HostedZoneId: id, VPC: vpcRequest(aws, one) });
    }
  },
  remove: async (id, state, { aws }) => {
    const route53 = await aws.route53();
    if (state["forceDestroy"] === true) {
      const { ResourceRecordSets = [] } = await route53.listResourceRecordSets({
        HostedZoneId: id,
      });
      const own = ResourceRecordSets.filter(({ Type }) => Type !== "NS" && Type !== "SOA");
      for (const record of own) {
        await change(aws, id, "DELETE", record);
      }
    }
    await route53.deleteHostedZone({ Id: id });
  },
});

const recordFields = {
  zoneId: text({ required: true, replaces: true }),
  name: text({ required: true, replaces: true }),
  type: text({ required: true, replaces: true }),
  ttl: number(),
  records: set(text()),
  allowOverwrite: flag(),
} as const;

/** aws.route53.Record, simple ones */
export const record = awsResource({
  type: "aws:route53/record:Record",
  fields: recordFields,
  computed: ["fqdn"],
  isGlobal: true,
  missing: ["NoSuchHostedZone"],
  create: async (inputs, { aws, context }) => {
    const action = inputs.allowOverwrite === true ? "UPSERT" : "CREATE";
    await inSync(aws, await change(aws, inputs.zoneId, action, recordSet(inputs)), context);
    return `${inputs.zoneId}_${inputs.name}_${inputs.type}`;
  },
  read: async (id, state, aws) => {
    const [zoneId = "", ...rest] = id.split("_");
    const type = textOf(state, "type") || (rest.at(-1) ?? "");
    const name = textOf(state, "name") || rest.slice(0, -1).join("_");
    const { ResourceRecordSets = [] } = await (
      await aws.route53()
    ).listResourceRecordSets({
      HostedZoneId: zoneId,
      StartRecordName: name,
      StartRecordType: type as RRType,
    });
    const found = ResourceRecordSets.find(
      ({ Name, Type }) => Type === type && Name?.replace(/\.$/, "") === name.replace(/\.$/, ""),
    );
    return (
      found && {
        zoneId,
        name,
        type,
        fqdn: name.replace(/\.$/, ""),
        ttl: found.TTL,
        records: (found.ResourceRecords ?? []).map(({ Value }) => Value ?? ""),
      }
    );
  },
  update: async ({ news }, { aws, context }) => {
    await inSync(aws, await change(aws, news.zoneId, "UPSERT", recordSet(news)), context);
  },
  remove: async (_id, state, { aws, context }) => {
    const inputs = state as InputsOf<typeof recordFields>;
    try {
      const changed = await change(aws, inputs.zoneId, "DELETE", recordSet(inputs));
      await inSync(aws, changed, context);
    } catch (error) {
      // What is not there need not be deleted.
      const gone = error instanceof Error && error.message.includes("not found");
      if (codeOf(error) !== "InvalidChangeBatch" || !gone) {
        throw error;
      }
    }
  },
});

function recordSet(inputs: InputsOf<typeof recordFields>): ResourceRecordSet {
  return {
    Name: inputs.name,
    Type: inputs.type as RRType,
    TTL: inputs.ttl,
    ResourceRecords: (inputs.records ?? []).map((Value) => ({ Value })),
  };
}

async function change(
  aws: Aws,
  HostedZoneId: string,
  Action: "CREATE" | "UPSERT" | "DELETE",
  record: ResourceRecordSet,
): Promise<string | undefined> {
  const { ChangeInfo } = await (
    await aws.route53()
  ).changeResourceRecordSets({
    HostedZoneId,
    ChangeBatch: { Comment: "Managed by Pulumi", Changes: [{ Action, ResourceRecordSet: record }] },
  });
  return ChangeInfo?.Id;
}

async function inSync(aws: Aws, id: string | undefined, context: Context<Aws>): Promise<void> {
  if (id === undefined) {
    return;
  }
  const route53 = await aws.route53();
  await until("Route 53 to take the change over", context, 30 * 60, async () => {
    const { ChangeInfo } = await route53.getChange({ Id: id });
    return ChangeInfo?.Status === "INSYNC" ? true : undefined;
  });
}

function vpcRequest(aws: Aws, vpc: { vpcId: string; vpcRegion?: string | undefined }) {
  return { VPCId: vpc.vpcId, VPCRegion: (vpc.vpcRegion ?? aws.region) as VPCRegion };
}

/** `/hostedzone/Z…` without the path. */
function bareId(id: string | undefined): string {
  return given(id, "the zone's id").replace(/^\/hostedzone\//, "");
}
