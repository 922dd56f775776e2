// What was typed or configured wrongly in a command that runs in a pod: exit code 2, one line.

export class UsageError extends Error {}
