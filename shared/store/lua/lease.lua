-- Take the first free slot, or the one that this owner held before.
-- KEYS[1..n]: one key per slot.  ARGV[1]: owner.  ARGV[2]: time to live, ms.
-- Returns the slot number from 0, or -1 when all are taken by others.
local free = -1
for slot, key in ipairs(KEYS) do
  local owner = redis.call('GET', key)
  if owner == ARGV[1] then
    redis.call('PEXPIRE', key, ARGV[2])
    return slot - 1
  end
  if not owner and free < 0 then free = slot end
end
if free < 0 then return -1 end
redis.call('SET', KEYS[free], ARGV[1], 'PX', ARGV[2])
return free - 1
