-- What finished steps gave, and which walk may note more: the one that has opened the journal last.
--
-- ARGV: "open", key, ms until the journal is forgotten -> all fields; `walk` is the number of this walk
--       "note", then key, walk, path, value, ms until the journal is forgotten, again and again -> 1 each, 0 where a
--       later walk has opened the journal
if ARGV[1] == "open" then
    redis.call("HINCRBY", ARGV[2], "walk", 1)
    redis.call("PEXPIRE", ARGV[2], ARGV[3])
    return redis.call("HGETALL", ARGV[2])
end
local noted = {}
for i = 2, #ARGV, 5 do
    local walk = redis.call("HGET", ARGV[i], "walk")
    -- a store that has lost the journal knows of no other walk
    local mine = not walk or walk == ARGV[i + 1]
    if mine then
        redis.call("HSET", ARGV[i], "walk", ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
        redis.call("PEXPIRE", ARGV[i], ARGV[i + 4])
    end
    noted[#noted + 1] = mine and 1 or 0
end
return noted
