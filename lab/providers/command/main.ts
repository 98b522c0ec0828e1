/** The executable that Pulumi starts as its plugin `command`. */
import { main } from "../shared/main.ts";
import { command } from "./provider.ts";

await main(command);
