using Lamina.Cluster.Models;
using Lamina.Compute.Gguf;
using Lamina.Coordinator.Models.Sandbox;
using Lamina.Coordinator.Models.Trust;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Coordinator.Models;

/// <summary>
/// The parts of a model on their way into a store: opened, copied, checked apart and only then parsed here, in this order, so that what was checked is what is parsed,
/// hashed and kept. Whatever was copied and not kept is deleted on disposal.
/// </summary>
internal sealed class PartIntake(StoreFolder folder, ModelImportOptions options, string tenant, Action<string> note) : IDisposable
{
    private const string Otherwise = "name its SHA-256, sign it, or have it parsed in this process (Import:Sandbox = false)";

    private readonly List<GgufPart> _parts = [];
    private readonly List<string> _copies = [];
    private long _bytes;

    public IReadOnlyList<GgufPart> Parts => _parts;

    /// <summary>Hash of the one file, where one was asked for.</summary>
    public string? FileSha256 { get; private set; }

    /// <param name="sha256">What the first file's hash should be; a file that has it needs no check apart.</param>
    public async Task TakeAllAsync(string path, string? sha256, CancellationToken cancellation)
    {
        await TakeAsync(path, sha256, cancellation);
        foreach (string other in SplitFile.Parts(path, _parts[0].Header.Metadata, GgufLimits.Default).Skip(1))
        {
            await TakeAsync(other, null, cancellation);
            int found = _parts[^1].Header.Metadata.GetInt32("split.no", 0, ushort.MaxValue);
            if (found != _parts.Count - 1)
            {
                throw new InvalidDataException($"{Path.GetFileName(other)} says it is part {found + 1}, expected part {_parts.Count}");
            }
        }

        FileSha256 = _parts.Count == 1 ? FileSha256 : null;
    }

    /// <summary>Gives a part its place in the store.</summary>
    public void Keep(int part, string name)
    {
        if (options.CopyFiles)
        {
            folder.Move(_copies[part], folder, name);
        }
        else
        {
            FileLink.LinkOrCopy(_parts[part].Handle, folder, name);
        }
    }

    public void Dispose()
    {
        _parts.ForEach(part => part.Dispose());
        _copies.ForEach(folder.Delete);
    }

    private async Task TakeAsync(string path, string? sha256, CancellationToken cancellation)
    {
        SafeFileHandle file = GgufPart.OpenFile(path);
        try
        {
            RequireSize(RandomAccess.GetLength(file));
            if (options.CopyFiles)
            {
                file = Replace(file, Copy(file));
            }

            string at = options.CopyFiles ? folder.PathOf(_copies[^1]) : path;
            FileSha256 = sha256 is null ? FileSha256 : FileHash.Of(file, RandomAccess.GetLength(file), cancellation);
            string? header = sha256 is not null && FileSha256 == sha256 ? null : await CheckApartAsync(at, cancellation);
            GgufPart part = GgufPart.Read(path, file);
            _parts.Add(part);
            if (header is not null && FileHash.Of(part.Handle, part.Header.DataOffset, cancellation) != header)
            {
                throw new InvalidDataException("the model file was exchanged while it was checked");
            }
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private void RequireSize(long bytes)
    {
        _bytes += bytes;
        if (_bytes > options.MaxBytes)
        {
            throw new ModelRefusedException($"the model has {_bytes} bytes, cell {tenant} takes at most {options.MaxBytes} (Import:MaxBytes)");
        }

        if (options.CopyFiles && new DriveInfo(folder.FullPath).AvailableFreeSpace is var free && bytes > free)
        {
            throw new IOException($"the model store has {free} bytes free, the model needs {bytes}");
        }
    }

    private SafeFileHandle Copy(SafeFileHandle file)
    {
        _copies.Add($"incoming-{Guid.NewGuid():N}");
        FileLink.Copy(file, folder, _copies[^1]);
        return folder.OpenRead(_copies[^1]);
    }

    private static SafeFileHandle Replace(SafeFileHandle file, SafeFileHandle copy)
    {
        file.Dispose();
        return copy;
    }

    /// <summary>Lets a child process parse the file first; null where the cell does not ask for it or no child can be had. Refuses the model where the child's limits do not hold.</summary>
    private async Task<string?> CheckApartAsync(string path, CancellationToken cancellation)
    {
        if (!options.Sandbox)
        {
            return null;
        }

        if (ModelChecker.Executable is null)
        {
            // Only hosts other than lamina itself have none beside them.
            note("an untrusted model is parsed in this process: there is no lamina executable to do it apart");
            return null;
        }

        ModelCheckResult result = await ModelChecker.CheckAsync(path, cancellation);
        if (!result.MemoryLimited || !result.DoorsClosed)
        {
            throw new ModelRefusedException($"an untrusted model is parsed within limits, which this system does not hold ({ModelChecker.Protection(result)}): {Otherwise}");
        }

        note($"an untrusted model was checked in a process of its own: {ModelChecker.Protection(result)}");
        return result.HeaderSha256;
    }
}
