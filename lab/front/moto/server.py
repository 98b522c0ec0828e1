"""moto's server with the few corrections that records alone cannot carry.

Everything else that moto lets pass is refused before it gets here, by the front (TypeScript). These corrections are of
what moto itself would do wrong, most of them about an instance's end, which in moto is one moment and on AWS takes a while:

* TerminateInstances makes an instance "shutting-down": its interface and volumes are still its own. The daemon, which knows when
  the machine is really gone, sends the same call with the header X-Lab-Finish, and only that makes it "terminated".
* Balancers are network load balancers (the front refuses others), and their ARNs say so.
* Bucket policies are evaluated by the front, with their conditions. moto's own evaluation ignores conditions, so that a statement
  that denies what does not come over TLS denies everything.
* Listing the versions of a bucket does not copy every object's content, which takes seconds and fails when one goes meanwhile.
* A deleted launch template takes its tags along; whoever looks for orphans by tag would find it for ever.
* A record may be created again after it was deleted. moto takes any record whose name sorts behind it for the same one.
* The key that AWS makes for a service when none is named is AWS's, not the customer's.
* A terminated instance gives back the interfaces that outlive it. moto keeps them attached for ever.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from tempfile import SpooledTemporaryFile
from typing import Any

import moto.elbv2.models
from flask import request
from moto.ec2.models.instances import Instance, InstanceState
from moto.ec2.models.launch_templates import LaunchTemplate, LaunchTemplateBackend
from moto.iam.access_control import PermissionResult
from moto.kms.models import Alias, KmsBackend
from moto.route53.exceptions import ResourceRecordAlreadyExists
from moto.route53.models import FakeZone, Route53Backend
from moto.s3.models import FakeBucket, FakeKey
from moto.server import main

_finish_in_moto = Instance.terminate


def _terminate(self: Instance) -> InstanceState:
    previous = InstanceState(self._state.name, self._state.code)
    if self._state.name == "terminated":
        return previous
    if request.headers.get("X-Lab-Finish") is None:
        self._state.name = "shutting-down"
        self._state.code = 32
        return previous
    outliving = [nic for nic in self.nics.values() if not nic.delete_on_termination]
    _finish_in_moto(self)
    for nic in outliving:
        self.detach_eni(nic)
    self.nics = {}
    return previous


def _first_interface_property(name: str) -> property:
    def read(self: Instance) -> Any:
        nic = self.nics.get(0)
        return None if nic is None else getattr(nic, name)

    return property(read)


_private_dns_name = Instance.private_dns_name


def _private_dns_name_if_any(self: Instance) -> str:
    return _private_dns_name.fget(self) if self.private_ip else ""


_application_arn = moto.elbv2.models.make_arn_for_load_balancer


def _network_arn(*args: Any, **kwargs: Any) -> str:
    return _application_arn(*args, **kwargs).replace(":loadbalancer/app/", ":loadbalancer/net/")


def _left_to_the_front(self: FakeBucket, action: str, resource: str) -> PermissionResult:
    return PermissionResult.NEUTRAL


def _listed_copy(self: FakeKey, memo: dict[int, Any]) -> FakeKey:
    copied = FakeKey.__new__(FakeKey)
    _ = self.etag  # computed from the content once, and then remembered
    copied.__dict__.update(self.__dict__)
    copied._value_buffer = SpooledTemporaryFile()
    copied.multipart = None
    copied.disposed = True
    return copied


_delete_launch_template = LaunchTemplateBackend.delete_launch_template


def _delete_launch_template_and_tags(
    self: LaunchTemplateBackend, name: str, tid: str | None
) -> LaunchTemplate:
    template = _delete_launch_template(self, name, tid)
    self.tags.pop(template.id, None)  # type: ignore[attr-defined]
    return template


_change_records = Route53Backend.change_resource_record_sets


def _is_there(zone: FakeZone, wanted: dict[str, Any]) -> bool:
    name = wanted["Name"].strip(".")
    return any(
        record.name.strip(".") == name and record.type == wanted["Type"] for record in zone.rrsets
    )


def _change_records_by_what_is_there(
    self: Route53Backend, zoneid: str, change_list: list[dict[str, Any]]
) -> None:
    zone = self.get_hosted_zone(zoneid)
    for change in change_list:
        if change["Action"] != "CREATE":
            continue
        record = change["ResourceRecordSet"]
        if _is_there(zone, record):
            raise ResourceRecordAlreadyExists(
                name=record["Name"].strip(".") + ".", _type=record["Type"]
            )
        while change in zone.rr_changes:
            zone.rr_changes.remove(change)
    _change_records(self, zoneid, change_list)


_create_alias = KmsBackend.create_alias


def _create_alias_and_say_whose(self: KmsBackend, target_key_id: str, alias_name: str) -> Alias:
    # Callers are refused such names.
    if alias_name.startswith("alias/aws/"):
        self.keys[self.get_key_id(target_key_id)].key_manager = "AWS"
    return _create_alias(self, target_key_id, alias_name)


KmsBackend.create_alias = _create_alias_and_say_whose
Route53Backend.change_resource_record_sets = _change_records_by_what_is_there
LaunchTemplateBackend.delete_launch_template = _delete_launch_template_and_tags
moto.elbv2.models.make_arn_for_load_balancer = _network_arn
FakeKey.__deepcopy__ = _listed_copy
FakeBucket.get_permission = _left_to_the_front
Instance.terminate = _terminate
Instance.private_ip = _first_interface_property("private_ip_address")
Instance.private_ip_address = _first_interface_property("private_ip_address")
Instance.public_ip = _first_interface_property("public_ip")
Instance.public_ip_address = _first_interface_property("public_ip")
Instance.private_dns_name = property(_private_dns_name_if_any)

def _die_with_the_daemon() -> None:
    """Ends this process when the one that started it is killed: its records would belong to nobody."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() == 1:
        sys.exit("the daemon is gone already")


if __name__ == "__main__":
    _die_with_the_daemon()
    main(sys.argv[1:])
