/** The templates that are always there. */

/** The image of Docker spaces whose template names none. */
export const DEFAULT_IMAGE = "debian:stable-slim";

export const BUILTIN_TEMPLATES = `# Works on every driver.
name: default
description: A plain space with a shell
fields:
  - name: environment
    description: What the space is for, such as testing or production
  - name: api_key
    description: A key that scripts in the space may use
    secret: true
---
name: node
description: Node.js on Docker
driver: docker
image: node:22-slim
---
name: python
description: Python on Docker
driver: docker
image: python:3.13-slim
`;
