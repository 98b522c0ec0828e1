/** What a machine is asked for; machine/deploy/order.ts checks that it is this when it arrives. */
export interface Order {
  settings: {
    machine: string;
    port: number;
    adminToken: string;
    etcd: { endpoints: string[]; lockSeconds: number };
    database: {
      hosts: string[];
      port: number;
      name: string;
      user: string;
      password: string;
      ca?: string;
    };
    requestSeconds: number;
  };
  certificates: { ca: string; certificate: string; key: string };
  balancer: { region: string; targetGroupArn: string; address: string; port: number };
  limits: { drain: number; start: number; healthy: number };
}
