/** Joins the contract to the engine: checks permissions and hands each call to its domain. */
import { implement, withEventMeta } from "@orpc/server";
import { contract } from "../contract/contract.js";
import { SpacesError } from "../contract/errors.js";
import type { ProcessEvent } from "../contract/processes.js";
import type { RunEvent } from "../contract/runs.js";
import { type CallContext, requirePermission } from "./context.js";
import type { Engine } from "./engine.js";
import { entryAfter, eventId, followFrom, type Offsets, offsetsAfter } from "./event-ids.js";
import { hideHostPathsOf } from "./host-paths.js";
import { systemInfo, whoami } from "./system.js";

const later = (): never => {
  throw new SpacesError("UNSUPPORTED");
};

/** Makes the router of an engine; bindings call it in process, servers over HTTP. */
export function createRouter(engine: Engine) {
  const os = implement(contract)
    .$context<CallContext>()
    .use(async ({ context, procedure, next }) => {
      requirePermission(context.actor, procedure["~orpc"].meta.permission);
      try {
        return await next();
      } catch (error) {
        throw context.local ? error : hideHostPathsOf(error, engine.parts.dataDir);
      }
    });
  const {
    spaces,
    lifecycle,
    fields,
    files,
    templates,
    processes,
    background,
    forwards,
    storedScripts,
    scripts,
    runs,
    identity,
    expiry,
  } = engine;

  return os.router({
    spaces: {
      extend: os.spaces.extend.handler(async ({ context, input }) =>
        spaces.show(context, await expiry.extend(context, input.space, input.durationMs)),
      ),
      create: os.spaces.create.handler(({ context, input }) => spaces.create(context, input)),
      get: os.spaces.get.handler(({ context, input }) => spaces.get(context, input.space)),
      list: os.spaces.list.handler(({ context, input }) => spaces.list(context, input)),
      update: os.spaces.update.handler(({ context, input: { space, ...change } }) =>
        spaces.update(context, space, change),
      ),
      start: os.spaces.start.handler(async ({ context, input, signal }) =>
        spaces.show(context, await lifecycle.start(context, input.space, { signal })),
      ),
      stop: os.spaces.stop.handler(async ({ context, input, signal }) =>
        spaces.show(context, await lifecycle.stop(context, input.space, { signal })),
      ),
      restart: os.spaces.restart.handler(async ({ context, input, signal }) =>
        spaces.show(context, await lifecycle.restart(context, input.space, { signal })),
      ),
      delete: os.spaces.delete.handler(async ({ context, input, signal }) => {
        await lifecycle.delete(context, input.space, input.force ?? false, { signal });
        return {};
      }),
      wait: os.spaces.wait.handler(async ({ context, input, signal }) =>
        spaces.show(context, await lifecycle.wait(context, input, { signal })),
      ),
    },
    fields: {
      get: os.fields.get.handler(({ context, input }) =>
        fields.get(context, input.space, input.field),
      ),
      set: os.fields.set.handler(async ({ context, input }) => ({
        secret: await fields.set(context, input.space, input.field, input.value),
      })),
      list: os.fields.list.handler(async ({ context, input }) => ({
        items: await fields.list(context, input.space),
      })),
    },
    templates: {
      list: os.templates.list.handler(async () => ({ items: await templates.list() })),
      get: os.templates.get.handler(({ input }) => templates.get(input.template)),
      apply: os.templates.apply.handler(async ({ input }) => ({
        items: await templates.apply(input.source, input.filename),
      })),
      delete: os.templates.delete.handler(async ({ context, input }) => {
        await templates.delete(context, input.template);
        return {};
      }),
    },
    processes: {
      run: os.processes.run.handler(({ context, input: { space, ...request }, signal }) =>
        processes.run(context, space, request, { signal }),
      ),
      start: os.processes.start.handler(({ context, input: { space, ...request } }) =>
        background.start(context, space, request),
      ),
      list: os.processes.list.handler(async ({ context, input }) => ({
        items: await background.list(context, input.space),
      })),
      get: os.processes.get.handler(({ context, input }) =>
        background.get(context, input.space, input.process),
      ),
      follow: os.processes.follow.handler(async ({ context, input, signal, lastEventId }) => {
        const from = followFrom(input, lastEventId);
        const { space, process } = input;
        const events = await background.follow(context, space, process, from, { signal });
        return withIds(events, from);
      }),
      write: os.processes.write.handler(async ({ context, input }) => {
        const data = Buffer.from(input.data, "base64");
        await background.write(context, input.space, input.process, data, input.close);
        return {};
      }),
      signal: os.processes.signal.handler(async ({ context, input }) => {
        await background.signal(context, input.space, input.process, input.signal);
        return {};
      }),
      kill: os.processes.kill.handler(async ({ context, input }) => {
        await background.kill(context, input.space, input.process);
        return {};
      }),
      resize: os.processes.resize.handler(async ({ context, input }) => {
        await background.resize(context, input.space, input.process, input.terminal);
        return {};
      }),
      wait: os.processes.wait.handler(({ context, input, signal }) =>
        background.wait(context, input.space, input.process, input.timeoutMs, { signal }),
      ),
      remove: os.processes.remove.handler(async ({ context, input }) => {
        await background.remove(context, input.space, input.process);
        return {};
      }),
    },
    ports: {
      forward: os.ports.forward.handler(({ context, input: { space, ...request } }) =>
        forwards.forward(context, space, request),
      ),
      open: os.ports.open.handler(({ context, input: { space, port, hostPort } }) =>
        forwards.open(context, space, { port, hostPort: hostPort ?? port }),
      ),
      list: os.ports.list.handler(async ({ context, input }) => ({
        items: await forwards.list(context, input.space),
      })),
      stop: os.ports.stop.handler(async ({ context, input: { space, localPort, host } }) => {
        await forwards.stop(context, space, localPort, host ?? false);
        return {};
      }),
    },
    scripts: {
      save: os.scripts.save.handler(({ context, input }) => storedScripts.save(context, input)),
      get: os.scripts.get.handler(({ context, input }) => storedScripts.get(context, input)),
      list: os.scripts.list.handler(async ({ context }) => ({
        items: await storedScripts.list(context),
      })),
      history: os.scripts.history.handler(async ({ context, input }) => ({
        items: await storedScripts.history(context, input),
      })),
      rollback: os.scripts.rollback.handler(({ context, input }) =>
        storedScripts.rollback(context, input),
      ),
      delete: os.scripts.delete.handler(async ({ context, input }) => {
        await storedScripts.delete(context, input);
        return {};
      }),
      run: os.scripts.run.handler(({ context, input, signal }) =>
        scripts.run(context, input, { signal }),
      ),
    },
    runs: {
      start: os.runs.start.handler(({ context, input }) => runs.start(context, input)),
      list: os.runs.list.handler(({ context, input }) => runs.list(context, input)),
      get: os.runs.get.handler(({ context, input }) => runs.get(context, input.run)),
      calls: os.runs.calls.handler(({ context, input }) => runs.calls(context, input)),
      follow: os.runs.follow.handler(async ({ context, input, signal, lastEventId }) => {
        const after = entryAfter(input.after, lastEventId);
        return withEntryIds(await runs.follow(context, { ...input, after }, { signal }));
      }),
      wait: os.runs.wait.handler(({ context, input, signal }) =>
        runs.wait(context, input.run, input.timeoutMs, { signal }),
      ),
      cancel: os.runs.cancel.handler(({ context, input, signal }) =>
        runs.cancel(context, input.run, { signal }),
      ),
      rerun: os.runs.rerun.handler(({ context, input }) => runs.rerun(context, input.run)),
      delete: os.runs.delete.handler(async ({ context, input }) => {
        await runs.delete(context, input.run);
        return {};
      }),
    },
    schedules: {
      add: os.schedules.add.handler(later),
      apply: os.schedules.apply.handler(later),
      list: os.schedules.list.handler(later),
      get: os.schedules.get.handler(later),
      update: os.schedules.update.handler(later),
      pause: os.schedules.pause.handler(later),
      resume: os.schedules.resume.handler(later),
      run: os.schedules.run.handler(later),
      history: os.schedules.history.handler(later),
      remove: os.schedules.remove.handler(later),
      preview: os.schedules.preview.handler(later),
      tick: os.schedules.tick.handler(later),
    },
    files: {
      archive: os.files.archive.handler(later),
      extract: os.files.extract.handler(later),
      list: os.files.list.handler(({ context, input, signal }) =>
        files.list(context, input, { signal }),
      ),
      stat: os.files.stat.handler(({ context, input, signal }) =>
        files.stat(context, input, { signal }),
      ),
      exists: os.files.exists.handler(({ context, input }) => files.exists(context, input)),
      read: os.files.read.handler(({ context, input, signal }) =>
        files.read(context, input, { signal }),
      ),
      write: os.files.write.handler(({ context, input, signal }) =>
        files.write(context, input, { signal }),
      ),
      mkdir: os.files.mkdir.handler(({ context, input }) => files.mkdir(context, input)),
      move: os.files.move.handler(({ context, input }) => files.move(context, input)),
      copy: os.files.copy.handler(({ context, input, signal }) =>
        files.copy(context, input, { signal }),
      ),
      remove: os.files.remove.handler(async ({ context, input, signal }) => {
        await files.remove(context, input, { signal });
        return {};
      }),
      download: os.files.download.handler(({ context, input, signal }) =>
        files.download(context, input, { signal }),
      ),
      upload: os.files.upload.handler(({ context, input, signal }) =>
        files.upload(context, input, { signal }),
      ),
    },
    users: {
      create: os.users.create.handler(({ context, input }) =>
        identity.users.create(context, input),
      ),
      get: os.users.get.handler(({ input }) => identity.users.get(input.user)),
      list: os.users.list.handler(async () => ({ items: await identity.users.list() })),
      update: os.users.update.handler(({ context, input: { user, ...change } }) =>
        identity.users.update(context, user, change),
      ),
      delete: os.users.delete.handler(async ({ context, input }) => {
        await identity.users.delete(context, input.user);
        return {};
      }),
    },
    roles: {
      list: os.roles.list.handler(async () => ({ items: await identity.roles.list() })),
      save: os.roles.save.handler(({ context, input }) => identity.roles.save(context, input)),
      delete: os.roles.delete.handler(async ({ input }) => {
        await identity.roles.delete(input.role);
        return {};
      }),
    },
    tokens: {
      create: os.tokens.create.handler(({ context, input }) =>
        identity.tokens.create(context, input),
      ),
      list: os.tokens.list.handler(async ({ context, input }) => ({
        items: await identity.tokens.list(context, input.user),
      })),
      revoke: os.tokens.revoke.handler(async ({ context, input }) => {
        await identity.tokens.revoke(context, input.token);
        return {};
      }),
    },
    system: {
      info: os.system.info.handler(({ context }) => systemInfo(engine.parts, context)),
      whoami: os.system.whoami.handler(({ context }) => whoami(context)),
    },
  });
}

/** The events, each with the id by which a stream that broke off behind it is resumed. */
async function* withIds(
  events: AsyncIterable<ProcessEvent>,
  from: Offsets,
): AsyncGenerator<ProcessEvent, void> {
  let seen = from;
  for await (const event of events) {
    seen = offsetsAfter(event, seen);
    yield withEventMeta(event, { id: eventId(seen) });
  }
}

async function* withEntryIds(events: AsyncIterable<RunEvent>): AsyncGenerator<RunEvent, void> {
  for await (const event of events) yield withEventMeta(event, { id: String(event.seq) });
}
