-- Free a key that one request alone may hold, if it is still this one's.
-- ARGV: key, what stands there while it is: a request id, or the claim of an idempotency key, with its attempt or up to
-- that.
-- Returns 1 when it is free now, 0 when it was not this request's.
local there = redis.call('GET', ARGV[1])
if there and there:sub(1, #ARGV[2]) == ARGV[2] then return redis.call('DEL', ARGV[1]) end
return 0
