// Reads messages, one JSON a line, {secret, headers, body}, and says of each
// whether Standard Webhooks' own library takes it: "taken", or why not.
import { createInterface } from "node:readline";
import { Webhook } from "standardwebhooks";

for await (const line of createInterface({ input: process.stdin })) {
  const { secret, headers, body } = JSON.parse(line);
  try {
    new Webhook(secret).verify(body, headers);
    console.log("taken");
  } catch (error) {
    console.log(error.message);
  }
}
