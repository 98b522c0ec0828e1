import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const folder = join(__dirname, "../../../examples");
const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) =>
  /^[^/]+\/Pulumi\..+\.yaml$/.test(path),
);

test("there are such files", () => {
  expect(files).toContain("minimal/Pulumi.dev.yaml");
});

// `pulumi stack init` writes one into the file of whoever runs it, and can be used with that person's passphrase only.
test.each(files)("%s has nobody's secrets provider, and nothing that it encrypted", (file) => {
  const text = readFileSync(join(folder, file), "utf8");
  expect(text).not.toMatch(/^(encryptionsalt|encryptedkey|secretsprovider):|\bsecure:/m);
});
