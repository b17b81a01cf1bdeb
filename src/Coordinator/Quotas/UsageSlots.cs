using System.IO.MemoryMappedFiles;
using System.Text;

namespace Lamina.Coordinator.Quotas;

/// <summary>A metered request as its slot holds it.</summary>
/// <param name="Retry">Tells a repeated request after a crash from a new one; empty when it cannot be repeated.</param>
/// <param name="Begun">Whether anything was handed to the client, by which its prompt is charged.</param>
/// <param name="First">Tokens of the answer before the first that was handed out here: a client that went on with it had them from elsewhere.</param>
/// <param name="Generated">Tokens handed to the client, those from <paramref name="First"/> on.</param>
/// <param name="Outcome">Null while it runs.</param>
internal sealed record SlotContent(Guid Id, Guid Retry, string Tenant, string Key, string Model, long Started, int PromptTokens, bool Begun, long First, long Generated, UsageOutcome? Outcome);

internal enum UsageOutcome { Interrupted = 0, Completed = 1, Cancelled = 2, Failed = 3 }

/// <summary>
/// The requests that run, in a file mapped into memory: a slot each, whose progress is one aligned word. What was stored there outlives the process, however it dies, because
/// the pages are the kernel's; against loss of power they are written through now and then. Costs neither a system call nor a wait per token. Each tenant has a number of slots of
/// its own, so that none can take those of another.
/// </summary>
internal sealed class UsageSlots : IDisposable
{
    /// <summary>Slots of a file at least.</summary>
    private const int LeastCapacity = 8192;

    /// <summary>Slots of a tenant at least: as many as its answers that are under way and kept ones that nobody has read, together.</summary>
    private const int LeastPerTenant = 4096;

    private const int SlotBytes = 512;

    private const int StateAt = 0;
    private const int OutcomeAt = 4;
    private const int ProgressAt = 8;
    private const int IdAt = 16;
    private const int RetryAt = 32;
    private const int StartedAt = 48;
    private const int PromptAt = 56;
    private const int TenantAt = 64;
    private const int KeyAt = 128;
    private const int ModelAt = 256;

    private const int Free = 0;
    private const int Running = 1;
    private const int Ended = 2;

    // The progress: whether it has begun, 31 bits of the tokens before the first that was handed out, 31 of those up to the last.
    private const long BegunBit = 1L << 62;
    private const int FirstAt = 31;
    private const long TokensMask = (1L << FirstAt) - 1;

    private readonly FileStream _file;
    private readonly MemoryMappedFile _map;
    private readonly MemoryMappedViewAccessor _view;
    private readonly int _capacity;
    private readonly int _perTenant;
    private readonly Stack<int> _free = new();
    private readonly Dictionary<string, Share> _shares = new(StringComparer.Ordinal);
    private readonly string[] _owners;
    private readonly Lock _lock = new();
    private bool _dirty;

    private UsageSlots(FileStream file, int capacity, int perTenant)
    {
        _file = file;
        _capacity = capacity;
        _perTenant = perTenant;
        _owners = new string[capacity];
        _map = MemoryMappedFile.CreateFromFile(file, null, 0, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: true);
        _view = _map.CreateViewAccessor(0, (long)capacity * SlotBytes);
        for (int slot = capacity - 1; slot >= 0; slot--)
        {
            if (_view.ReadInt32(At(slot, StateAt)) == Free)
            {
                _free.Push(slot);
            }
            else
            {
                _owners[slot] = ReadText(At(slot, TenantAt), KeyAt - TenantAt);
                Of(_owners[slot]).Taken++;
            }
        }
    }

    /// <summary>What a tenant holds.</summary>
    private sealed class Share
    {
        public int Taken { get; set; }

        /// <summary>Those of them that wait for the database.</summary>
        public int Ended { get; set; }
    }

    /// <summary>Opens the file or makes it with all its space taken; null when another process has it open. One of another length keeps what it holds, and only ever grows.</summary>
    /// <param name="tenants">How many share it.</param>
    /// <param name="perTenant">Slots of each; those of a usual file when null.</param>
    public static UsageSlots? TryOpen(string path, int tenants = 1, int? perTenant = null)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        int wanted = perTenant * tenants ?? Math.Max(LeastCapacity, LeastPerTenant * tenants);
        bool isNew = !File.Exists(path);
        var options = new FileStreamOptions { Mode = isNew ? FileMode.CreateNew : FileMode.Open, Access = FileAccess.ReadWrite, Share = FileShare.None };
        if (isNew)
        {
            options.PreallocationSize = (long)wanted * SlotBytes;
        }

        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = isNew ? UnixFileMode.UserRead | UnixFileMode.UserWrite : null;
        }

        FileStream file;
        try
        {
            file = new FileStream(path, options);
        }
        catch (IOException) when (File.Exists(path))
        {
            return null;
        }

        int capacity = (int)Math.Max(wanted, (file.Length + SlotBytes - 1) / SlotBytes);
        if (isNew)
        {
            file.SetLength((long)capacity * SlotBytes);
        }

        Fill(file, (long)capacity * SlotBytes);
        return new UsageSlots(file, capacity, perTenant ?? capacity / Math.Max(1, tenants));
    }

    /// <summary>Writes what is missing as zeros, which are free slots; written, not left out, because a page of a mapped file that the disk has no room for kills the process.</summary>
    private static void Fill(FileStream file, long length)
    {
        file.Seek(0, SeekOrigin.End);
        byte[] zeros = new byte[1 << 16];
        while (file.Position < length)
        {
            file.Write(zeros, 0, (int)Math.Min(zeros.Length, length - file.Position));
        }

        file.Flush(flushToDisk: true);
    }

    /// <summary>A slot for a request that begins, or -1 when all of its tenant are taken.</summary>
    public int Take(SlotContent content)
    {
        int slot;
        lock (_lock)
        {
            Share share = Of(content.Tenant);
            if (share.Taken >= _perTenant || !_free.TryPop(out slot))
            {
                return -1;
            }

            share.Taken++;
            _owners[slot] = content.Tenant;
        }

        _view.WriteArray(At(slot, IdAt), content.Id.ToByteArray(), 0, 16);
        _view.WriteArray(At(slot, RetryAt), content.Retry.ToByteArray(), 0, 16);
        _view.Write(At(slot, StartedAt), content.Started);
        _view.Write(At(slot, PromptAt), content.PromptTokens);
        _view.Write(At(slot, OutcomeAt), 0);
        WriteText(At(slot, TenantAt), KeyAt - TenantAt, content.Tenant);
        WriteText(At(slot, KeyAt), ModelAt - KeyAt, content.Key);
        WriteText(At(slot, ModelAt), SlotBytes - ModelAt, content.Model);
        Store(slot, content.Begun, content.First, content.First + content.Generated);

        // Last, so that a slot that is found running is whole.
        Thread.MemoryBarrier();
        _view.Write(At(slot, StateAt), Running);
        return slot;
    }

    /// <summary>Counts what is about to be handed to the client. Durable against the process' death when it returns.</summary>
    /// <param name="first">Tokens of the answer before the first that is handed out.</param>
    /// <param name="end">Tokens of the answer up to the last one.</param>
    public void Store(int slot, bool begun, long first, long end)
    {
        _view.Write(At(slot, ProgressAt), (begun ? BegunBit : 0) | (Math.Min(first, TokensMask) << FirstAt) | Math.Min(end, TokensMask));
        Volatile.Write(ref _dirty, true);
    }

    public void End(int slot, UsageOutcome outcome)
    {
        _view.Write(At(slot, OutcomeAt), (int)outcome);
        Thread.MemoryBarrier();
        _view.Write(At(slot, StateAt), Ended);
        Volatile.Write(ref _dirty, true);
        lock (_lock)
        {
            Of(_owners[slot]).Ended++;
        }
    }

    /// <summary>Once its content is in the database.</summary>
    public void Release(int slot)
    {
        bool ended = _view.ReadInt32(At(slot, StateAt)) == Ended;
        _view.Write(At(slot, StateAt), Free);
        lock (_lock)
        {
            Share share = Of(_owners[slot]);
            share.Taken--;
            share.Ended -= ended ? 1 : 0;
            if (share.Taken == 0)
            {
                _shares.Remove(_owners[slot]);
            }

            _free.Push(slot);
        }
    }

    /// <summary>Whether most of what a tenant holds waits for the database.</summary>
    public bool IsBehind(string tenant)
    {
        lock (_lock)
        {
            return _shares.TryGetValue(tenant, out Share? share) && share.Ended > share.Taken / 2;
        }
    }

    public SlotContent Read(int slot)
    {
        long progress = _view.ReadInt64(At(slot, ProgressAt));
        long first = (progress >> FirstAt) & TokensMask;
        bool ended = _view.ReadInt32(At(slot, StateAt)) == Ended;
        return new SlotContent(
            ReadId(At(slot, IdAt)), ReadId(At(slot, RetryAt)), ReadText(At(slot, TenantAt), KeyAt - TenantAt), ReadText(At(slot, KeyAt), ModelAt - KeyAt),
            ReadText(At(slot, ModelAt), SlotBytes - ModelAt), _view.ReadInt64(At(slot, StartedAt)), _view.ReadInt32(At(slot, PromptAt)), (progress & BegunBit) != 0,
            first, (progress & TokensMask) - first, ended ? (UsageOutcome)_view.ReadInt32(At(slot, OutcomeAt)) : null);
    }

    /// <summary>All slots that are taken.</summary>
    public IEnumerable<int> Taken() => Enumerable.Range(0, _capacity).Where(slot => _view.ReadInt32(At(slot, StateAt)) != Free);

    /// <summary>Writes through what has changed, against loss of power.</summary>
    public void Sync()
    {
        if (Interlocked.Exchange(ref _dirty, false))
        {
            _view.Flush();
        }
    }

    public void Dispose()
    {
        Sync();
        _view.Dispose();
        _map.Dispose();
        _file.Dispose();
    }

    /// <summary>Under the lock, except while it is made.</summary>
    private Share Of(string tenant) => _shares.TryGetValue(tenant, out Share? share) ? share : _shares[tenant] = new Share();

    private static long At(int slot, int field) => ((long)slot * SlotBytes) + field;

    private void WriteText(long at, int room, string text)
    {
        // Names and ids are ASCII and bounded far below the room.
        byte[] bytes = new byte[room];
        byte[] encoded = Encoding.UTF8.GetBytes(text);
        bytes[0] = (byte)Math.Min(encoded.Length, room - 1);
        encoded.AsSpan(0, bytes[0]).CopyTo(bytes.AsSpan(1));
        _view.WriteArray(at, bytes, 0, room);
    }

    private string ReadText(long at, int room)
    {
        byte[] bytes = new byte[room];
        _view.ReadArray(at, bytes, 0, room);
        return Encoding.UTF8.GetString(bytes, 1, Math.Min(bytes[0], room - 1));
    }

    private Guid ReadId(long at)
    {
        byte[] bytes = new byte[16];
        _view.ReadArray(at, bytes, 0, 16);
        return new Guid(bytes);
    }
}
