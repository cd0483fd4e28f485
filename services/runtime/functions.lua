#!lua name=addonflow_VERSION
--[=[
The Redis data model of addonflow, and the four functions that touch it. VERSION is replaced by a digest of this file
when it is loaded, so versions live side by side and a process always calls the text it was released with.

Everything about the accounts of one shard p of a service carries the hash tag {service.p} (one slot in a cluster):

  {service.p}:account:<id>    hash    version    counts the account's commits, from 1
                                      sequences  msgpack: emitted and applied ce_sequence per topic (sequences.py)
                                      document   JSON of the service's document
                                      row:<name> JSON of one row each (members, requesters, invoices ...)
  {service.p}:inbox:<account> <command key>
                              string  the stored answer to a command; expires after the inbox retention. The key is the
                                      command's id, on any topic but the members' behind "<topic>\x1f" (decision.py)
  {service.p}:outbox          stream  a commit's records in order, up to RECORDS_PER_ENTRY in each of its entries;
                                      fields 1, 2 ...: msgpack of one record each (codec.py)
  {service.p}:relay           hash    cursor: stream id of the last record a broker acknowledged
                                      offset:<topic>: first offset of the last batch acknowledged there
  {service.p}:timers          zset    member "<name> <account>", score: due, in milliseconds since the epoch
  {service.p}:gaps            hash    field "<topic> <account>": sequences not seen yet, "4-5,9"

KEYS[1] is always the shard's outbox; every other key is derived from it and hashes to the same slot. Arguments travel
as one msgpack string, because packing hundreds of arguments costs a client more than the commit costs the server.
No function takes the time or a random number: what they write follows from what they are given.

Cost: load O(accounts + rows named), commit O(commits + rows changed + records), whatever the size of an account.
]=]

local UNPACK_MAX = 1000 -- Lua spreads a table over the stack, which holds 8,000
local RECORDS_PER_ENTRY = 16 -- who reads takes whole entries: small ones bound what is read at once

local function prefix_of(outbox)
  return string.sub(outbox, 1, -7) -- without "outbox"
end

local function inbox_key(prefix, account, id)
  return prefix .. 'inbox:' .. account .. ' ' .. id
end

--[=[ Returns the values of string keys by key, false where there is none: a call for a thousand keys, not for each. ]=]
local function get_all(names)
  local values = {}
  for first = 1, #names, UNPACK_MAX do
    local last = math.min(first + UNPACK_MAX - 1, #names)
    for j, value in ipairs(redis.call('MGET', unpack(names, first, last))) do
      values[names[first + j - 1]] = value
    end
  end
  return values
end

--[=[ load(KEYS outbox; ARGV msgpack [[account, [inbox id ...], [row name ...]] ...])
Returns msgpack, per account: [[stored answer ...], [version, sequences, document, row ...]], false where there is none. ]=]
local function load(keys, args)
  local prefix = prefix_of(keys[1])
  local requests, reply, inbox = cmsgpack.unpack(args[1]), {}, {}
  for _, request in ipairs(requests) do
    for _, id in ipairs(request[2]) do
      inbox[#inbox + 1] = inbox_key(prefix, request[1], id)
    end
  end
  local answers = get_all(inbox)
  for i, request in ipairs(requests) do
    local account, marks, fields = request[1], {}, { 'version', 'sequences', 'document' }
    for j, id in ipairs(request[2]) do
      marks[j] = answers[inbox_key(prefix, account, id)]
    end
    for j, name in ipairs(request[3]) do
      fields[j + 3] = 'row:' .. name
    end
    local key, found = prefix .. 'account:' .. account, nil
    for first = 1, #fields, UNPACK_MAX do
      local part = redis.call('HMGET', key, unpack(fields, first, math.min(first + UNPACK_MAX - 1, #fields)))
      if found == nil then
        found = part
      else
        for j, value in ipairs(part) do
          found[first + j - 1] = value
        end
      end
    end
    reply[i] = { marks, found }
  end
  return cmsgpack.pack(reply) -- one string costs both sides less than a thousand nested replies
end

local SHAPE = { 'string', 'number', 'string', 'string', 'table', 'table', 'table', 'table', 'table' }
local LISTS = {
  [5] = { 'string', 'string' },
  [6] = { 'string', 'string' },
  [7] = { 'string' },
  [8] = { 'string', 'number' },
  [9] = { 'string', 'string' },
}

--[=[ Raises when commit number i has not the shape that commit_batch documents, down to the elements of its lists. ]=]
local function check(i, commit)
  for position = 1, #SHAPE do
    if type(commit[position]) ~= SHAPE[position] then
      error({ err = 'ADDONFLOW commit ' .. i .. ' field ' .. position .. ' is not a ' .. SHAPE[position] })
    end
  end
  for position, kinds in pairs(LISTS) do
    local list = commit[position]
    if #list % #kinds ~= 0 then
      error({ err = 'ADDONFLOW commit ' .. i .. ' field ' .. position .. ' is not complete' })
    end
    for j = 1, #list do
      local kind = kinds[(j - 1) % #kinds + 1]
      if type(list[j]) ~= kind then
        error({ err = 'ADDONFLOW commit ' .. i .. ' field ' .. position .. ' has an element that is not a ' .. kind })
      end
    end
  end
end

--[=[ Decides what each commit will come to without writing anything. Raises when an argument has the wrong shape or a key
the wrong type, so that a batch is either refused whole or written whole. ]=]
local function judge(prefix, commits)
  redis.call('XLEN', prefix .. 'outbox')
  redis.call('ZCARD', prefix .. 'timers')
  redis.call('HLEN', prefix .. 'gaps')
  local versions, verdicts, marks, inbox = {}, {}, {}, {}
  for i, commit in ipairs(commits) do
    check(i, commit)
    marks[i] = {}
    for j = 1, #commit[6], 2 do
      inbox[#inbox + 1] = inbox_key(prefix, commit[1], commit[6][j])
      marks[i][#marks[i] + 1] = inbox[#inbox]
    end
  end
  local answered = get_all(inbox)
  for i, commit in ipairs(commits) do
    local account, expected, repeated = commit[1], commit[2], false
    for _, mark in ipairs(marks[i]) do
      repeated = repeated or answered[mark]
    end
    if versions[account] == nil then
      versions[account] = tonumber(redis.call('HGET', prefix .. 'account:' .. account, 'version') or '0')
    end
    if repeated or versions[account] ~= expected then
      verdicts[i] = 0
      versions[account] = false -- what follows was decided on a state that is not written, whatever is there
    else
      verdicts[i] = 1
      if commit[3] ~= '' then
        versions[account] = expected + 1
      end
      for _, mark in ipairs(marks[i]) do
        answered[mark] = true
      end
    end
  end
  return verdicts
end

local function write_account(prefix, commit)
  local key = prefix .. 'account:' .. commit[1]
  local fields, removed = { 'version', commit[2] + 1, 'sequences', commit[3] }, {}
  if commit[4] ~= '' then
    fields[5], fields[6] = 'document', commit[4]
  end
  local rows = commit[5]
  for j = 1, #rows, 2 do
    if rows[j + 1] == '' then
      removed[#removed + 1] = 'row:' .. rows[j]
    else
      fields[#fields + 1] = 'row:' .. rows[j]
      fields[#fields + 1] = rows[j + 1]
    end
  end
  for first = 1, #fields, UNPACK_MAX do
    redis.call('HSET', key, unpack(fields, first, math.min(first + UNPACK_MAX - 1, #fields)))
  end
  for first = 1, #removed, UNPACK_MAX do
    redis.call('HDEL', key, unpack(removed, first, math.min(first + UNPACK_MAX - 1, #removed)))
  end
end

local function write_timers(prefix, account, timers)
  for j = 1, #timers, 2 do
    local member = timers[j] .. ' ' .. account
    if timers[j + 1] < 0 then
      redis.call('ZREM', prefix .. 'timers', member)
    else
      redis.call('ZADD', prefix .. 'timers', string.format('%.0f', timers[j + 1]), member)
    end
  end
end

local function write_gaps(prefix, account, gaps)
  for j = 1, #gaps, 2 do
    local field = gaps[j] .. ' ' .. account
    if gaps[j + 1] == '' then
      redis.call('HDEL', prefix .. 'gaps', field)
    else
      redis.call('HSET', prefix .. 'gaps', field, gaps[j + 1])
    end
  end
end

local function write_inbox(prefix, account, inbox, retention)
  for j = 1, #inbox, 2 do
    redis.call('SET', inbox_key(prefix, account, inbox[j]), inbox[j + 1], 'PX', retention)
  end
end

--[=[ Adds records to the outbox; returns the stream id of the last entry made, nil for none. ]=]
local function write_records(outbox, records)
  local last
  for first = 1, #records, RECORDS_PER_ENTRY do
    local fields = {}
    for j = first, math.min(first + RECORDS_PER_ENTRY - 1, #records) do
      fields[#fields + 1] = j - first + 1
      fields[#fields + 1] = records[j]
    end
    last = redis.call('XADD', outbox, '*', unpack(fields))
  end
  return last
end

local function last_entry(outbox)
  local found = redis.call('XREVRANGE', outbox, '+', '-', 'COUNT', 1)
  return found[1] and found[1][1] or '0-0'
end

--[=[ commit(KEYS outbox; ARGV inbox retention in ms, msgpack [commit ...]), commit being
  [1 account, 2 expected version (0: new), 3 sequences ('': the account is not written), 4 document ('': unchanged),
   5 rows {name, JSON or '' ...}, 6 inbox {id, answer ...}, 7 outbox records {...}, 8 timers {name, due ms or -1 ...},
   9 gaps {topic, text or '' ...}]
Returns [[verdict ...], before, last]. Verdicts per commit: 1 committed; 0 conflict: the account is at another version, or
one of the ids was answered meanwhile (load and decide again). The records are the outbox's entries behind `before` up to
`last` (stream ids), with nothing in between; they are the same where none was added. ]=]
local function commit_batch(keys, args)
  local prefix = prefix_of(keys[1])
  local commits = cmsgpack.unpack(args[2])
  if (tonumber(args[1]) or 0) < 1 then
    error({ err = 'ADDONFLOW the inbox retention is not a number of milliseconds' })
  end
  local verdicts, before = judge(prefix, commits), last_entry(keys[1])
  local last = before
  for i, commit in ipairs(commits) do
    if verdicts[i] == 1 then
      if commit[3] ~= '' then
        write_account(prefix, commit)
      end
      write_inbox(prefix, commit[1], commit[6], args[1])
      last = write_records(keys[1], commit[7]) or last
      write_timers(prefix, commit[1], commit[8])
      write_gaps(prefix, commit[1], commit[9])
    end
  end
  return { verdicts, before, last }
end

--[=[ advance(KEYS outbox; ARGV expected cursor, new cursor, trim before (stream id), topic, offset ...)
Moves the relay's cursor if it still stands where the caller saw it, and forgets records older than the retention that
are behind it. Returns 1, or 0 when another relay moved it. ]=]
local function advance(keys, args)
  local relay = prefix_of(keys[1]) .. 'relay'
  if (redis.call('HGET', relay, 'cursor') or '0-0') ~= args[1] then
    return 0
  end
  redis.call('HSET', relay, 'cursor', args[2])
  for j = 4, #args, 2 do
    redis.call('HSET', relay, 'offset:' .. args[j], args[j + 1])
  end
  if args[3] ~= '' then
    redis.call('XTRIM', keys[1], 'MINID', '~', args[3])
  end
  return 1
end

--[=[ rewind(KEYS outbox): forgets what brokers acknowledged, so that the whole retained outbox is published again. ]=]
local function rewind(keys)
  redis.call('DEL', prefix_of(keys[1]) .. 'relay')
  return 1
end

redis.register_function('addonflow_VERSION_load', load)
redis.register_function('addonflow_VERSION_commit', commit_batch)
redis.register_function('addonflow_VERSION_advance', advance)
redis.register_function('addonflow_VERSION_rewind', rewind)
