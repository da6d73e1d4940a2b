// The forwarder on Node: batches by partition to a hub, or whole batches to a queue.
//
// It speaks the protocol of `bench.programs`: a line of JSON asks for a round, a line answers.
// What it is given stands for the decoded batch of the trigger: bodies and properties, which are
// read from a file once. Like the Python functions it is measured against, it reads each event,
// puts body and properties into a message, and waits until all are acknowledged.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { performance } from "node:perf_hooks";

import { EventHubProducerClient } from "@azure/event-hubs";
import { ManagedIdentityCredential } from "@azure/identity";
import { ServiceBusClient } from "@azure/service-bus";

const [kind, file] = process.argv.slice(2);
const { DESTINATION_HOST: host, DESTINATION: entity, SESSION: session } = process.env;

const lanes = JSON.parse(readFileSync(file, "utf8")).map(({ partition, events }) => ({
  partition,
  next: 0,
  events: events.map(({ body, properties }) => ({ body: Buffer.from(body), properties })),
}));

function* taken(lane, size) {
  for (let n = 0; n < size; n += 1) {
    yield lane.events[lane.next % lane.events.length];
    lane.next += 1;
  }
}

function toHub(credential) {
  const producer = new EventHubProducerClient(host, entity, credential);
  return async (partitionId, events) => {
    let batch = await producer.createBatch({ partitionId });
    for (const { body, properties } of events) {
      if (batch.tryAdd({ body, properties })) continue;
      await producer.sendBatch(batch);
      batch = await producer.createBatch({ partitionId });
      if (!batch.tryAdd({ body, properties })) throw new Error("larger than a batch");
    }
    await producer.sendBatch(batch);
  };
}

function toQueue(credential) {
  const sender = new ServiceBusClient(host, credential).createSender(entity);
  return async (_, events) => {
    let batch = await sender.createMessageBatch();
    for (const { body, properties } of events) {
      const sessionId = session ? properties["cloudEvents:subject"] : undefined;
      const message = { body, applicationProperties: properties, sessionId };
      if (batch.tryAddMessage(message)) continue;
      await sender.sendMessages(batch);
      batch = await sender.createMessageBatch();
      if (!batch.tryAddMessage(message)) throw new Error("larger than a batch");
    }
    await sender.sendMessages(batch);
  };
}

const send = (kind === "queue" ? toQueue : toHub)(new ManagedIdentityCredential());

async function run({ batches, size, lanes: count }) {
  const ready = lanes.slice(0, count).map((lane) =>
    Array.from({ length: batches }, () => [...taken(lane, size)]),
  );
  const latencies = [];
  const start = performance.now();
  const busy = process.cpuUsage();
  await Promise.all(
    ready.map(async (its, n) => {
      for (const events of its) {
        const from = performance.now();
        await send(lanes[n].partition, events);
        latencies.push((performance.now() - from) / 1000);
      }
    }),
  );
  const { user, system } = process.cpuUsage(busy);
  return {
    events: batches * size * ready.length,
    seconds: (performance.now() - start) / 1000,
    busy: (user + system) / 1e6,
    latencies,
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await run(JSON.parse(line))));
}
process.exit(0);
