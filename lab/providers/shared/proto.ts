/**
 * Pulumi's protocol, as the modules that @pulumi/pulumi ships. They are CommonJS whose exports no static analysis can see, hence the
 * default imports; everything else takes them from here.
 */
import grpc from "@grpc/grpc-js";
import engineGrpc from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import engine from "@pulumi/pulumi/proto/engine_pb.js";
import pluginInfo from "@pulumi/pulumi/proto/plugin_pb.js";
import providerGrpc from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import provider from "@pulumi/pulumi/proto/provider_pb.js";
import status from "@pulumi/pulumi/proto/status_pb.js";
import any from "google-protobuf/google/protobuf/any_pb.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";
import struct from "google-protobuf/google/protobuf/struct_pb.js";

export { any, empty, engine, engineGrpc, grpc, pluginInfo, provider, providerGrpc, status, struct };
