using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Lamina.TestSupport;

/// <summary>Sees whatever is opened, read, written, made, moved, deleted or given other attributes in a folder, by any process (inotify). The kernel queues each event before the call that causes it returns.</summary>
internal sealed partial class OpenWatch : IDisposable
{
    private const uint Access = 0x1, Modify = 0x2, Attributes = 0x4, Open = 0x20, Moved = 0xC0, Create = 0x100, Delete = 0x200;
    private const int NonBlocking = 0x800, CloseOnExec = 0x80000;

    private readonly int _queue;
    private readonly Dictionary<int, string> _watched = [];

    /// <param name="paths">Files and folders, each watched by itself: of a folder also what happens to what it holds.</param>
    public OpenWatch(params IEnumerable<string> paths)
    {
        _queue = InotifyInit(NonBlocking | CloseOnExec);
        Assert.True(_queue >= 0, $"inotify: error {Marshal.GetLastPInvokeError()}");
        foreach (string path in paths)
        {
            int number = AddWatch(_queue, path, Access | Modify | Attributes | Open | Moved | Create | Delete);
            Assert.True(number >= 0, $"inotify on {path}: error {Marshal.GetLastPInvokeError()}");
            _watched[number] = path;
        }
    }

    /// <summary>What was seen since the last call: a path and what happened to it.</summary>
    public unsafe List<string> Take()
    {
        var seen = new List<string>();
        byte[] events = new byte[64 << 10];
        fixed (byte* start = events)
        {
            for (nint read; (read = Read(_queue, start, events.Length)) > 0;)
            {
                for (ReadOnlySpan<byte> left = events.AsSpan(0, (int)read); !left.IsEmpty;)
                {
                    int name = BinaryPrimitives.ReadInt32LittleEndian(left[12..]);
                    uint what = BinaryPrimitives.ReadUInt32LittleEndian(left[4..]);
                    string path = _watched.GetValueOrDefault(BinaryPrimitives.ReadInt32LittleEndian(left), "?");
                    seen.Add($"{path}/{Encoding.UTF8.GetString(left.Slice(16, name)).TrimEnd('\0')} {what:x}");
                    left = left[(16 + name)..];
                }
            }
        }

        return seen;
    }

    public void Dispose() => Close(_queue);

    [LibraryImport("libc", EntryPoint = "inotify_init1", SetLastError = true)]
    private static partial int InotifyInit(int flags);

    [LibraryImport("libc", EntryPoint = "inotify_add_watch", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int AddWatch(int queue, string path, uint events);

    [LibraryImport("libc", EntryPoint = "read")]
    private static unsafe partial nint Read(int file, byte* destination, nint length);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int file);
}
