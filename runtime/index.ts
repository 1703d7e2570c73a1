/** What programs import from `spaces-runtime`. */
export type { Binding, BindingOptions } from "./bindings/binding.js";
export { openBinding } from "./bindings/select.js";
export type { Client } from "./contract/contract.js";
export { ERRORS, type ErrorCode, type SerializedError, SpacesError } from "./contract/errors.js";
