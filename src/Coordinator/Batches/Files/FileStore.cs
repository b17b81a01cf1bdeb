using System.Collections.Concurrent;

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
    private readonly string _folder;
    private readonly BatchOptions _options;
    private readonly TimeProvider _time;
    private readonly ConcurrentDictionary<string, StoredFile> _files = new(StringComparer.Ordinal);
    private long _bytes;
    private long _sequence;

    private FileStore(string folder, BatchOptions options, TimeProvider time) => (_folder, _options, _time) = (folder, options, time);

    public static FileStore Open(string folder, BatchOptions options, TimeProvider time)
    {
        DurableFile.CreateFolder(folder);
        var store = new FileStore(folder, options, time);
        foreach (string path in Directory.GetFiles(folder, "*.json"))
        {
            if (DurableFile.Read(path, BatchStateJson.Default.StoredFile) is { } file && File.Exists(store.ContentPath(file.Id)))
            {
                store._files[file.Id] = file;
                store._bytes += file.Bytes;
                store._sequence = Math.Max(store._sequence, file.Sequence);
            }
        }

        foreach (string path in Directory.GetFiles(folder).Where(path => !store._files.ContainsKey(Path.GetFileNameWithoutExtension(path))))
        {
            File.Delete(path);
        }

        return store;
    }

    /// <summary>Bytes of all files, those on their way in included.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>Newest first.</summary>
    public IEnumerable<StoredFile> All => _files.Values.OrderByDescending(file => file.Sequence);

    public StoredFile Require(string? id) => Find(id) is { } file && file.ExpiresAt > Now ? file : throw BatchErrors.FileNotFound();

    /// <summary>Also one that has expired but that a batch still needs.</summary>
    public StoredFile? Find(string? id) => BatchId.IsFile(id) ? _files.GetValueOrDefault(id!) : null;

    public FileStream OpenContent(StoredFile file)
    {
        try
        {
            return new FileStream(ContentPath(file.Id), FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, 1 << 16, FileOptions.Asynchronous);
        }
        catch (FileNotFoundException)
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
        return new FileUpload(this, id, Path.Combine(_folder, id + ".upload"), _options.MaxFileBytes);
    }

    /// <summary>Makes a file of one that was written elsewhere on the same disk; done again after a crash it changes nothing.</summary>
    /// <param name="id">Drawn beforehand.</param>
    public StoredFile Adopt(string path, string id, string name, long? expiresAfter)
    {
        if (_files.TryGetValue(id, out StoredFile? known))
        {
            return known;
        }

        // A description alone is dropped at the next start and content is not yet moved then, so a crash between the two loses nothing.
        StoredFile file = Describe(id, name, new FileInfo(path).Length, StoredFile.OutputPurpose, expiresAfter);
        File.Move(path, ContentPath(id), overwrite: true);
        Interlocked.Add(ref _bytes, file.Bytes);
        _files[id] = file;
        return file;
    }

    public void Delete(StoredFile file)
    {
        if (_files.TryRemove(KeyValuePair.Create(file.Id, file)))
        {
            File.Delete(DescriptionPath(file.Id));
            File.Delete(ContentPath(file.Id));
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
        File.Move(uploaded, ContentPath(id));
        return _files[id] = Describe(id, name, bytes, StoredFile.InputPurpose, expiresAfter);
    }

    private long Now => _time.GetUtcNow().ToUnixTimeSeconds();

    private StoredFile Describe(string id, string name, long bytes, string purpose, long? expiresAfter)
    {
        long now = Now;
        var file = new StoredFile(id, name, bytes, now, now + (expiresAfter ?? _options.RetentionDays * 86400L), purpose, Interlocked.Increment(ref _sequence));
        DurableFile.Write(DescriptionPath(id), file, BatchStateJson.Default.StoredFile);
        return file;
    }

    /// <summary>Where the content lies; for reading only.</summary>
    public string PathOf(StoredFile file) => ContentPath(file.Id);

    private string ContentPath(string id) => Path.Combine(_folder, id + ".jsonl");

    private string DescriptionPath(string id) => Path.Combine(_folder, id + ".json");
}
