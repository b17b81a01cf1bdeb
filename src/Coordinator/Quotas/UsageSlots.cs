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
/// the pages are the kernel's; against loss of power they are written through now and then. Costs neither a system call nor a wait per token.
/// </summary>
internal sealed class UsageSlots : IDisposable
{
    public const int Capacity = 8192;
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
    private readonly Stack<int> _free = new();
    private readonly Lock _lock = new();
    private bool _dirty;

    private UsageSlots(FileStream file)
    {
        _file = file;
        _map = MemoryMappedFile.CreateFromFile(file, null, 0, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: true);
        _view = _map.CreateViewAccessor(0, Capacity * SlotBytes);
        for (int slot = Capacity - 1; slot >= 0; slot--)
        {
            if (_view.ReadInt32(At(slot, StateAt)) == Free)
            {
                _free.Push(slot);
            }
        }
    }

    /// <summary>Opens the file or makes it with all its space taken; null when another process has it open.</summary>
    public static UsageSlots? TryOpen(string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        bool isNew = !File.Exists(path) || new FileInfo(path).Length != Capacity * SlotBytes;
        var options = new FileStreamOptions { Mode = isNew ? FileMode.Create : FileMode.Open, Access = FileAccess.ReadWrite, Share = FileShare.None };
        if (isNew)
        {
            options.PreallocationSize = Capacity * SlotBytes;
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

        if (isNew)
        {
            file.SetLength(Capacity * SlotBytes);
            file.Flush(flushToDisk: true);
        }

        return new UsageSlots(file);
    }

    /// <summary>A slot for a request that begins, or -1 when all are taken.</summary>
    public int Take(SlotContent content)
    {
        int slot;
        lock (_lock)
        {
            if (!_free.TryPop(out slot))
            {
                return -1;
            }
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
    }

    /// <summary>Once its content is in the database.</summary>
    public void Release(int slot)
    {
        _view.Write(At(slot, StateAt), Free);
        lock (_lock)
        {
            _free.Push(slot);
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
    public IEnumerable<int> Taken() => Enumerable.Range(0, Capacity).Where(slot => _view.ReadInt32(At(slot, StateAt)) != Free);

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
