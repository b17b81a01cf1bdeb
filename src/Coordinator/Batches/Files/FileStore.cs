using System.Collections.Concurrent;
using Lamina.Cluster.Models;
using Lamina.Coordinator.Api;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Coordinator.Batches.Files;

/// <summary>
/// One tenant's files. A file exists once its description does; content without one is the rest of a crash and is removed at the next start.
/// <code>
/// file-....jsonl      content
/// file-....json       description
/// file-....upload     content on its way in
/// </code>
/// </summary>
internal sealed class FileStore
{
    private readonly StoreFolder _folder;
    private readonly BatchOptions _options;
    private readonly TimeProvider _time;
    private readonly ConcurrentDictionary<string, StoredFile> _files = new(StringComparer.Ordinal);
    private long _bytes;
    private long _sequence;

    private FileStore(StoreFolder folder, BatchOptions options, TimeProvider time) => (_folder, _options, _time) = (folder, options, time);

    /// <summary>Throws <see cref="UnexpectedFileException"/> when the folder is a symbolic link.</summary>
    public static FileStore Open(StoreFolder folder, BatchOptions options, TimeProvider time)
    {
        folder.Create();
        var store = new FileStore(folder, options, time);
        foreach (string name in folder.Names("*.json"))
        {
            if (DurableFile.Read(folder, name, BatchStateJson.Default.StoredFile) is { } file && BatchId.IsFile(file.Id) && folder.Holds(Content(file.Id)))
            {
                store._files[file.Id] = file;
                store._bytes += file.Bytes;
                store._sequence = Math.Max(store._sequence, file.Sequence);
            }
        }

        // Links among them: what they lead to stays as it is.
        Array.ForEach(Array.FindAll(folder.Names(), name => !store._files.ContainsKey(Path.GetFileNameWithoutExtension(name))), folder.Delete);

        return store;
    }

    /// <summary>Bytes of all files, those on their way in included.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>Newest first.</summary>
    public IEnumerable<StoredFile> All => _files.Values.OrderByDescending(file => file.Sequence);

    public StoredFile Require(string? id) => Find(id) is { } file && file.ExpiresAt > Now ? file : throw BatchErrors.FileNotFound();

    /// <summary>Also one that has expired but that a batch still needs.</summary>
    public StoredFile? Find(string? id) => BatchId.IsFile(id) ? _files.GetValueOrDefault(id!) : null;

    /// <summary>Throws <see cref="ApiException"/> when the content is gone, or something else has taken its place.</summary>
    public FileStream OpenContent(StoredFile file)
    {
        try
        {
            return new FileStream(OpenHandle(file), FileAccess.Read, 1 << 16);
        }
        catch (Exception e) when (e is FileNotFoundException or UnexpectedFileException)
        {
            throw BatchErrors.FileNotFound();
        }
    }

    /// <summary>Takes a file in; it exists once the upload is completed.</summary>
    public FileUpload BeginUpload()
    {
        if (_files.Count >= _options.MaxFiles)
        {
            throw BatchErrors.TooManyFiles(_options.MaxFiles);
        }

        string id = BatchId.NewFile();
        return new FileUpload(this, id, _folder, id + ".upload", _options.MaxFileBytes);
    }

    /// <summary>Makes a file of one that was written elsewhere on the same disk; done again after a crash it changes nothing.</summary>
    /// <param name="id">Drawn beforehand.</param>
    public StoredFile Adopt(StoreFolder from, string written, string id, string name, long? expiresAfter)
    {
        if (_files.TryGetValue(id, out StoredFile? known))
        {
            return known;
        }

        // A description alone is dropped at the next start and content is not yet moved then, so a crash between the two loses nothing.
        StoredFile file = Describe(id, name, from.LengthOf(written) ?? throw new FileNotFoundException($"the file '{from.PathOf(written)}' is not there, or no regular file"), StoredFile.OutputPurpose, expiresAfter);
        from.Move(written, _folder, Content(id));
        Interlocked.Add(ref _bytes, file.Bytes);
        _files[id] = file;
        return file;
    }

    public void Delete(StoredFile file)
    {
        if (_files.TryRemove(KeyValuePair.Create(file.Id, file)))
        {
            _folder.Delete(Description(file.Id));
            _folder.Delete(Content(file.Id));
            Interlocked.Add(ref _bytes, -file.Bytes);
        }
    }

    internal bool TryReserve(long bytes)
    {
        if (Interlocked.Add(ref _bytes, bytes) <= _options.BytesPerTenant)
        {
            return true;
        }

        Interlocked.Add(ref _bytes, -bytes);
        return false;
    }

    internal void Unreserve(long bytes) => Interlocked.Add(ref _bytes, -bytes);

    internal long BytesAllowed => _options.BytesPerTenant;

    internal StoredFile Complete(string uploaded, string id, string name, long bytes, long? expiresAfter)
    {
        _folder.Move(uploaded, _folder, Content(id));
        return _files[id] = Describe(id, name, bytes, StoredFile.InputPurpose, expiresAfter);
    }

    private long Now => _time.GetUtcNow().ToUnixTimeSeconds();

    private StoredFile Describe(string id, string name, long bytes, string purpose, long? expiresAfter)
    {
        long now = Now;
        var file = new StoredFile(id, name, bytes, now, now + (expiresAfter ?? _options.RetentionDays * 86400L), purpose, Interlocked.Increment(ref _sequence));
        DurableFile.Write(_folder, Description(id), file, BatchStateJson.Default.StoredFile);
        return file;
    }

    /// <summary>The content, for reading by position. Throws <see cref="FileNotFoundException"/> when it is gone, and <see cref="UnexpectedFileException"/> when something else has taken its place.</summary>
    public SafeFileHandle OpenHandle(StoredFile file) => _folder.OpenRead(Content(file.Id), FileShare.Read | FileShare.Delete, FileOptions.Asynchronous);

    private static string Content(string id) => id + ".jsonl";

    private static string Description(string id) => id + ".json";
}
