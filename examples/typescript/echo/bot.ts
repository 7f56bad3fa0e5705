// An echo bot: repeats every text, once, whatever is restarted meanwhile.
//
// QPQ_TOKEN  the bot's token
// QPQ_URL    the gateway, default http://127.0.0.1:8080

import { Bot } from "quicproquo";

const bot = new Bot("echo");

bot.onText((message) => message.reply(message.text));

await bot.run();
