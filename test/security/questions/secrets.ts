import { Asker, never, type Question } from "#security/questions/question";

const { member, bastion } = Asker;

const parameter = (path: string): string => `arn:aws:ssm:{region}:{account}:parameter/${path}`;

/** Keys in the parameter store. */
export const secrets: readonly Question[] = [
  never(
    member,
    "read another member's key",
    `ssm:GetParameter ${parameter("{cluster}/{other}/server-key")}`,
  ),
  never(
    member,
    "read the bastion's host key",
    `ssm:GetParameter ${parameter("{cluster}/bastion/ssh-host-key")}`,
  ),
  never(
    member,
    "read another cluster's keys",
    `ssm:GetParameter ${parameter("{cluster}2/{self}/server-key")}`,
  ),
  never(
    member,
    "read a member's keys whose name begins with its own",
    `ssm:GetParameter ${parameter("{cluster}/{self}0/server-key")}`,
  ),
  never(
    member,
    "change its own key",
    `ssm:PutParameter ${parameter("{cluster}/{self}/server-key")}`,
  ),
  never(
    member,
    "delete its own key",
    `ssm:DeleteParameter ${parameter("{cluster}/{self}/server-key")}`,
  ),
  never(
    bastion,
    "read a member's key",
    `ssm:GetParameter ${parameter("{cluster}/{self}/server-key")}`,
  ),
  never(
    bastion,
    "change its own host key",
    `ssm:PutParameter ${parameter("{cluster}/bastion/ssh-host-key")}`,
  ),
];
