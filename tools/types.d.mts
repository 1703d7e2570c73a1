/** The types of `types.mjs`, for the tests. */
export function asyncTypes(text: string, module: "spaces" | "files" | "schedules"): string;
export function boundTypes(text: string): string;
export function withAliases(text: string): string;
export function writeTypes(directory: string | URL): Promise<void>;
