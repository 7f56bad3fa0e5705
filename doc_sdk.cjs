const { MatrixClient, SimpleFsStorageProvider, AutojoinRoomsMixin, LogService } = require("matrix-bot-sdk");
const storage = new SimpleFsStorageProvider("/tmp/hm/doc-bot.json");
const client = new MatrixClient("http://127.0.0.1:18080", "qpq_j5rfYN1pK7dc0jIFS0LpBsVACkQmPMOH9RV7PoLuJ1tr7073y", storage);
AutojoinRoomsMixin.setupOnClient(client);
client.on("room.message", handleCommand);
client.start().then(() => console.log("Bot started!"));
async function handleCommand(roomId, event) {
    if (event['content']?.['msgtype'] !== 'm.text') return;
    if (event['sender'] === await client.getUserId()) return;
    const body = event['content']['body'];
    if (body?.startsWith("!hello")) {
        await client.replyNotice(roomId, event, "Hello world!");
    }
}
