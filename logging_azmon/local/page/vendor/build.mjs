// Rebuild the files of this folder from npm packages of the versions below. Usage: node build.mjs
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const VERSIONS = ["esbuild@0.28.2", "prism-code-editor@5.4.0", "uplot@1.6.32"];

const EDITOR = `
export { createEditor } from "prism-code-editor";
export { addOverlay, insertText, setSelection } from "prism-code-editor/utils";
export { defaultCommands, editHistory } from "prism-code-editor/commands";
export { cursorPosition } from "prism-code-editor/cursor";
export { matchBrackets } from "prism-code-editor/match-brackets";
export { autoComplete, fuzzyFilter, registerCompletions } from "prism-code-editor/autocomplete";
import "prism-code-editor/languages/kusto";
import "prism-code-editor/prism/languages/kusto";
`;

const here = dirname(fileURLToPath(import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "page-"));
const from = (...path) => join(scratch, "node_modules", ...path);
try {
  writeFileSync(join(scratch, "package.json"), "{}");
  execFileSync("npm", ["install", "--no-audit", "--no-fund", ...VERSIONS], { cwd: scratch, stdio: "inherit" });
  const esbuild = await import(from("esbuild", "lib", "main.js"));

  writeFileSync(join(scratch, "editor.js"), EDITOR);
  const options = { bundle: true, format: "esm", target: "es2022", legalComments: "none", write: false };
  const bundle = await esbuild.build({ ...options, absWorkingDir: scratch, entryPoints: ["editor.js"] });
  // The page's Content-Security-Policy refuses style attributes in templates, so each becomes a class.
  const styles = [];
  const classed = bundle.outputFiles[0].text.replace(
    /<div(?: class=([\w-]+))? style=(?:"([^"]+)"|([^\s>]+))/g,
    (_, name = `pce-s${styles.length}`, quoted, bare) => {
      styles.push(`.${name}{${quoted ?? bare}}`);
      return `<div class=${name}`;
    },
  );
  if (styles.length !== 3 || classed.includes("style=")) throw new Error("the editor's templates have changed");
  const script = await esbuild.transform(classed, { minify: true, format: "esm", target: "es2022", legalComments: "none" });
  writeFileSync(join(here, "editor.js"), script.code);
  const sheets = ["layout.css", "cursor.css", "autocomplete.css"];
  const sheet = sheets.map((name) => readFileSync(from("prism-code-editor", "dist", name), "utf8"));
  writeFileSync(join(here, "editor.css"), `${[...sheet, ...styles].map((text) => text.trim()).join("\n")}\n`);
  cpSync(from("prism-code-editor", "LICENSE"), join(here, "LICENSE-prism-code-editor"));

  const uplot = await esbuild.transform(readFileSync(from("uplot", "dist", "uPlot.esm.js"), "utf8"), {
    minify: true,
    format: "esm",
    legalComments: "none",
  });
  writeFileSync(join(here, "uplot.js"), uplot.code);
  cpSync(from("uplot", "dist", "uPlot.min.css"), join(here, "uplot.css"));
  cpSync(from("uplot", "LICENSE"), join(here, "LICENSE-uplot"));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
