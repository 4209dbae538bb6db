-- Claim idempotency keys, one after the other.
-- ARGV: key, value, milliseconds to hold it; and so on.
-- Returns for each an empty text when the key is claimed now, else what stands there.
local found = {}
for i = 1, #ARGV, 3 do
  local there = redis.call('GET', ARGV[i])
  if not there then
    redis.call('SET', ARGV[i], ARGV[i + 1], 'PX', ARGV[i + 2])
  end
  found[#found + 1] = there or ''
end
return found
