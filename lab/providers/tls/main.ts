/** The executable that Pulumi starts as its plugin `tls`. */
import { main } from "../shared/main.ts";
import { tls } from "./provider.ts";

await main(tls);
