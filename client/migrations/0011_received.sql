-- A received message is its own entry of the event log: the row of messages has its position and its
-- time. What is left here of those says that the message is gone.
DELETE FROM events WHERE kind = 'message.received' AND message = seq
    AND EXISTS (SELECT 1 FROM messages WHERE messages.owner = events.owner AND messages.seq = events.seq);
