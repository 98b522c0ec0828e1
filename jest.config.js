/** Types are checked once by tsc; here SWC only strips them, which keeps a run small and quick. */
module.exports = {
  roots: ["<rootDir>/test/unit", "<rootDir>/test/model"],
  testEnvironment: "node",
  transform: {
    "^.+\\.ts$": [
      "@swc/jest",
      { jsc: { target: "es2023", parser: { syntax: "typescript" } }, module: { type: "commonjs" } },
    ],
  },
};
