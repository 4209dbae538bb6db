-- Executions that are to end, by the time at which that was said; executors read what is new to them.
--
-- ARGV: "say", why, execution  |  "read", cursor (0 at first), how many
-- Returns for "read": the next cursor, then "<why> <execution>" each; as many as were asked for: there may be more.
local KEY, KEPT_MS, OVERLAP_MS = "weir:cancelled", 3600000, 1000
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[1] == "say" then
    redis.call("ZREMRANGEBYSCORE", KEY, "-inf", now - KEPT_MS)
    redis.call("ZADD", KEY, now, ARGV[2] .. " " .. ARGV[3])
    redis.call("PEXPIRE", KEY, KEPT_MS)
    return {}
end
local found = redis.call("ZRANGEBYSCORE", KEY, ARGV[2], "+inf", "LIMIT", 0, ARGV[3])
-- what was said within the same millisecond as the last look is read again, rather than never
local following = now - OVERLAP_MS
if #found == tonumber(ARGV[3]) then following = redis.call("ZSCORE", KEY, found[#found]) end
return {following, unpack(found)}
