import { callSync } from "spaces:host";
export const go = () => callSync("x", 1);
