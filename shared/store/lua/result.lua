-- Keep how an execution stands, and know it among those of its project.
--
-- ARGV: project, execution, value, ms to keep, when it was accepted (unix ms)
local index = "weir:executions:" .. ARGV[1]
redis.call("SET", "weir:execution:" .. ARGV[1] .. ":" .. ARGV[2], ARGV[3], "PX", ARGV[4])
redis.call("SET", "weir:execution-of:" .. ARGV[2], ARGV[1], "PX", ARGV[4])
redis.call("ZADD", index, "NX", ARGV[5], ARGV[2])
if redis.call("PTTL", index) < tonumber(ARGV[4]) then
    redis.call("PEXPIRE", index, ARGV[4])
end
-- the oldest are forgotten with their results; a few at a time are enough
for _, one in ipairs(redis.call("ZRANGE", index, 0, 1)) do
    if redis.call("EXISTS", "weir:execution:" .. ARGV[1] .. ":" .. one) == 0 then
        redis.call("ZREM", index, one)
    end
end
