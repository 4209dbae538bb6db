-- Executions that are to end, by the time at which that was said; executors read what is new to them.
--
-- ARGV: "say", why, execution  |  "read", cursor (0 at first)
-- Returns for "read": the next cursor, then "<why> <execution>" each.
local KEY, KEPT_MS, OVERLAP_MS = "weir:cancelled", 3600000, 1000
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[1] == "say" then
    redis.call("ZREMRANGEBYSCORE", KEY, "-inf", now - KEPT_MS)
    redis.call("ZADD", KEY, now, ARGV[2] .. " " .. ARGV[3])
    redis.call("PEXPIRE", KEY, KEPT_MS)
    return {}
end
-- what was said within the same millisecond as the last look is read again, rather than never
return {now - OVERLAP_MS, unpack(redis.call("ZRANGEBYSCORE", KEY, ARGV[2], "+inf"))}
