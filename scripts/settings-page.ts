// Renders the settings table as the page docs/config.md.

import type { Setting } from '../src/config/setting.ts';
import { configFileVariable, settingsTable } from '../src/config/settings.ts';

/** Markdown, the same for the same table. */
export function settingsPage(): string {
  const rows = Object.entries<Setting<unknown>>(settingsTable).map(([name, row]) => {
    const flag = row.flag === undefined ? '' : `\`${row.flag} ${row.placeholder}\``;
    const fallback = row.fallback === undefined ? '–' : row.fallback === '' ? 'none' : `\`${row.fallback}\``;
    return `| \`${name}\` | \`${row.env}\` | ${flag} | ${fallback} | ${row.doc} |`;
  });
  return `# Settings

<!-- Generated from src/config/settings.ts by \`npm run docs\`: change it there. -->

A setting is taken from the command line, else from the environment, else from \`gateway.yaml\`, else it has the default below.
\`gateway.yaml\` is the file named by \`--config\` or by the environment variable \`${configFileVariable}\`; without either there is none.
It is a flat map of the keys below. Lists are YAML lists there, and separated by commas in the environment. Relative paths are relative to
the file, or to the working directory when they come from elsewhere.

All mistakes are reported at once, and nothing is started then; a key that is not in the table is a mistake. An unknown variable that starts
with \`MCP_GATEWAY_\` is only a warning. \`mcp-gateway config check\` says what is wrong, \`mcp-gateway config print\` shows what would be used.

| gateway.yaml | environment | \`mcp-gateway up\` | default | what it is |
|---|---|---|---|---|
${rows.join('\n')}

What backends there are stands in the resource files, not here.

\`\`\`yaml
# gateway.yaml
listen: 127.0.0.1:8080
resources: ./backends
workers: 2
allowedOrigins: [loopback, "https://app.example.com"]
\`\`\`
`;
}
