/** The executable that Pulumi starts as its plugin `aws`. */
import { main } from "../shared/main.ts";
import { aws } from "./provider.ts";

await main(aws);
