using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Lamina.Cluster.Processes;

/// <summary>What a process can take from itself for good: memory, open files, and every system call that opens a connection, starts a program or reaches into another process.</summary>
public static unsafe partial class ProcessLimits
{
    private const int CpuSeconds = 0, FileSize = 1, DataBytes = 2, CoreBytes = 4, OpenFiles = 7;
    private const int NoNewPrivileges = 38;
    private const int NotDumpable = 4;
    private const int SetModeFilter = 1;
    private const int AllThreads = 1;

    /// <summary>
    /// No core dumps, and no other process of this user may read this one's memory, neither through the kernel nor through the runtime's own sockets for debuggers and profilers:
    /// prompts and keys live there. The sockets stay where <c>DOTNET_EnableDiagnostics=1</c> asks for them by name.
    /// </summary>
    public static void ForbidDumps()
    {
        if (OperatingSystem.IsLinux())
        {
            Limit(CoreBytes, 0);
            _ = ProcessControl(NotDumpable, 0, 0, 0, 0);
        }

        if (!OperatingSystem.IsWindows() && Environment.GetEnvironmentVariable("DOTNET_EnableDiagnostics") != "1")
        {
            CloseDiagnostics();
        }
    }

    /// <summary>The runtime opens them before the first line of a program runs, and only the environment could have told it not to. Without their names nobody connects.</summary>
    private static void CloseDiagnostics()
    {
        string pid = Environment.ProcessId.ToString(System.Globalization.CultureInfo.InvariantCulture);
        foreach (string pattern in (ReadOnlySpan<string>)[$"dotnet-diagnostic-{pid}-*", $"clr-debug-pipe-{pid}-*"])
        {
            try
            {
                foreach (string path in Directory.EnumerateFiles(Path.GetTempPath(), pattern))
                {
                    File.Delete(path);
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // A folder for temporary files that cannot be read or written holds no such socket.
            }
        }
    }

    /// <summary>Private memory (heap, stacks, mappings), processor time and open files; nothing may be written to files.</summary>
    public static bool Shrink(long dataBytes, int seconds) =>
        Limit(DataBytes, dataBytes) & Limit(CpuSeconds, seconds) & Limit(FileSize, 0) & Limit(CoreBytes, 0) & Limit(OpenFiles, 128);

    /// <summary>
    /// Refuses sockets, programs and other processes from here on, on all threads, by a filter that cannot be taken off (seccomp). False where the system has none or the
    /// machine's system calls are not known here.
    /// </summary>
    public static bool CloseDoors()
    {
        ReadOnlySpan<uint> refused = RuntimeInformation.ProcessArchitecture switch
        {
            // socket, connect, accept, sendto, bind, listen, socketpair, execve, ptrace, mount, unshare, setns, process_vm_readv/writev, execveat, bpf, io_uring_setup, open_by_handle_at, pidfd_getfd
            Architecture.X64 => [41, 42, 43, 44, 49, 50, 53, 59, 101, 165, 272, 308, 310, 311, 322, 321, 425, 304, 438],
            Architecture.Arm64 => [198, 203, 202, 206, 200, 201, 199, 221, 117, 40, 97, 268, 270, 271, 281, 280, 425, 265, 438],
            _ => [],
        };
        uint architecture = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 0xC000003E : 0xC00000B7;
        if (refused.IsEmpty || !OperatingSystem.IsLinux() || ProcessControl(NoNewPrivileges, 1, 0, 0, 0) != 0)
        {
            return false;
        }

        const ushort LoadWord = 0x20, JumpIfEqual = 0x15, JumpIfAtLeast = 0x35, Return = 0x06;
        const uint Allow = 0x7FFF0000, Kill = 0x80000000, PermissionDenied = 0x00050001;
        var code = new List<Instruction>
        {
            new(LoadWord, 0, 0, 4),
            new(JumpIfEqual, 1, 0, architecture),
            new(Return, 0, 0, Kill),
            new(LoadWord, 0, 0, 0),
        };
        if (RuntimeInformation.ProcessArchitecture == Architecture.X64)
        {
            // The 32-bit-pointer calls of x86-64 have numbers of their own.
            code.Add(new(JumpIfAtLeast, 0, 1, 0x40000000));
            code.Add(new(Return, 0, 0, Kill));
        }

        foreach (uint call in refused)
        {
            code.Add(new(JumpIfEqual, 0, 1, call));
            code.Add(new(Return, 0, 0, PermissionDenied));
        }

        code.Add(new(Return, 0, 0, Allow));
        fixed (Instruction* first = CollectionsMarshal.AsSpan(code))
        {
            var program = new FilterProgram { Length = (ushort)code.Count, Code = first };
            long number = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 317 : 277;
            return SystemCall(number, SetModeFilter, AllThreads, &program) == 0;
        }
    }

    private static bool Limit(int resource, long value)
    {
        var limit = new ResourceLimit { Soft = (ulong)value, Hard = (ulong)value };
        return OperatingSystem.IsLinux() && SetResourceLimit(resource, &limit) == 0;
    }

    [StructLayout(LayoutKind.Sequential)]
    private readonly struct Instruction(ushort code, byte ifTrue, byte ifFalse, uint operand)
    {
        private readonly ushort _code = code;
        private readonly byte _ifTrue = ifTrue;
        private readonly byte _ifFalse = ifFalse;
        private readonly uint _operand = operand;
    }

    private struct FilterProgram
    {
        public ushort Length;
        public Instruction* Code;
    }

    private struct ResourceLimit
    {
        public ulong Soft;
        public ulong Hard;
    }

    [LibraryImport("libc", EntryPoint = "setrlimit")]
    private static partial int SetResourceLimit(int resource, ResourceLimit* limit);

    [LibraryImport("libc", EntryPoint = "prctl")]
    private static partial int ProcessControl(int option, nuint a, nuint b, nuint c, nuint d);

    [LibraryImport("libc", EntryPoint = "syscall")]
    private static partial long SystemCall(long number, uint operation, uint flags, FilterProgram* program);
}
