-- One value of a workflow, whatever is done with it.
-- ARGV: key, action, value (JSON or ''), ms to live or 0, most items of a list, most bytes that are read; the journal of
-- the execution or '', the name of the effect in it, ms until the journal is forgotten, where it has no end yet.
-- Returns JSON. '!KIND <what is there>', '!LARGE', '!FULL': the action does not fit, which is no failure of the store. An
-- effect that the journal remembers is not done again: its result is. What is only read has none. Releases of before
-- remembered it under weir:storage-done:<project>:<execution>/<path of the step>; such a key is read as well.
local key, action, value, ttl, most, readable, journal, effect, remember = unpack(ARGV)
local remembered = journal ~= '' and action ~= 'get'
if remembered then
  local older = journal:gsub('^weir:journal:', 'weir:storage-done:') .. '/' .. effect:gsub('/done$', '')
  local before = redis.call('HGET', journal, effect) or redis.call('GET', older)
  if before then return before end
end
local kind = redis.call('TYPE', key).ok
if kind == 'list' and (action == 'increment') or kind == 'string' and (action == 'append' or action == 'shift') then
  return '!KIND ' .. (kind == 'list' and 'a list' or 'a single value')
end
local result = 'null'
if action == 'get' then
  if kind == 'list' then
    local items, size = {}, 0
    for start = 0, redis.call('LLEN', key) - 1, 100 do
      for _, item in ipairs(redis.call('LRANGE', key, start, start + 99)) do
        items[#items + 1], size = item, size + #item + 1
      end
      if size > tonumber(readable) then return '!LARGE' end
    end
    result = '[' .. table.concat(items, ',') .. ']'
  else
    result = redis.call('GET', key) or 'null'
  end
elseif action == 'set' then
  redis.call('SET', key, value)
  result = value
elseif action == 'append' then
  if redis.call('LLEN', key) >= tonumber(most) then return '!FULL' end
  result = tostring(redis.call('RPUSH', key, value))
elseif action == 'shift' then
  result = redis.call('LPOP', key) or 'null'
elseif action == 'increment' then
  local done = redis.pcall('INCRBY', key, value)
  if type(done) == 'table' then
    if string.find(done.err, 'overflow', 1, true) then
      return '!KIND too far from 0: the sum leaves 64 bits'
    end
    if string.find(done.err, 'not an integer', 1, true) then return '!KIND no whole number' end
    -- the store takes nothing now: it is full, or a replica
    return done
  end
  -- as a number of Lua it would lose its last digits
  result = redis.call('GET', key)
elseif action == 'delete' then
  result = redis.call('DEL', key) == 1 and 'true' or 'false'
end
if tonumber(ttl) > 0 and action ~= 'get' then redis.call('PEXPIRE', key, ttl) end
if remembered then
  redis.call('HSET', journal, effect, result)
  if redis.call('PTTL', journal) < 0 then redis.call('PEXPIRE', journal, remember) end
end
return result
