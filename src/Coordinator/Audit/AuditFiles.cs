using System.Globalization;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator.Audit;

/// <summary>The files of one log, the last of them open: each batch of lines is on the disk as a whole, or the file is as long as before it.</summary>
internal sealed class AuditFiles : IDisposable
{
    private const int TailBytes = 4096;

    private readonly string _folder;
    private readonly string _name;
    private readonly Func<string, FileMode, FileStream> _open;
    private readonly long _maxFileBytes;
    private readonly ILogger _logger;
    private FileStream _file;
    private long _length;
    private bool _cannotRotate;

    /// <param name="last">The file to go on with; null begins the first.</param>
    public AuditFiles(string folder, string name, string? last, Func<string, FileMode, FileStream> open, long maxFileBytes, ILogger logger)
    {
        (_folder, _name, _open, _maxFileBytes, _logger) = (folder, name, open, maxFileBytes, logger);
        _file = open(last ?? PathOf(1), FileMode.OpenOrCreate);
        try
        {
            _length = EndOfLastLine(_file);
            WasCut = _length < _file.Length;
            RollBack();
        }
        catch
        {
            _file.Dispose();
            throw;
        }
    }

    /// <summary>Whether the last line was not whole and is gone.</summary>
    public bool WasCut { get; }

    public static FileStream OpenUnbuffered(string path, FileMode mode) => new(path, mode, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0);

    /// <summary>Appends and waits for the disk. When it throws, nothing of the lines is left, or will be by the next call.</summary>
    /// <param name="first">The number of the first of the records.</param>
    public void Write(MemoryStream lines, long first)
    {
        if (_length >= _maxFileBytes)
        {
            Rotate(first);
        }

        // What an earlier failure left, when not even that could be taken back.
        if (_file.Length != _length)
        {
            RollBack();
        }

        try
        {
            lines.WriteTo(_file);
            _file.Flush(flushToDisk: true);
            _length += lines.Length;
        }
        catch
        {
            try
            {
                RollBack();
            }
            catch (IOException)
            {
                // The next call tries again; a start drops what is not whole.
            }

            throw;
        }
    }

    public void Dispose() => _file.Dispose();

    /// <summary>A file that cannot be begun leaves the log in the one it has, which then grows until one can.</summary>
    private void Rotate(long first)
    {
        try
        {
            FileStream next = _open(PathOf(first), FileMode.CreateNew);
            _file.Dispose();
            (_file, _length, _cannotRotate) = (next, 0, false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            if (!_cannotRotate)
            {
                _cannotRotate = true;
                _logger.LogError(e, "the audit log cannot begin its next file and goes on in the last one");
            }
        }
    }

    private void RollBack()
    {
        _file.SetLength(_length);
        _file.Position = _length;
    }

    private string PathOf(long first) => Path.Combine(_folder, $"{_name}-{first.ToString($"D{AuditLog.NumberDigits}", CultureInfo.InvariantCulture)}.audit");

    private static long EndOfLastLine(FileStream file)
    {
        byte[] tail = new byte[TailBytes];
        for (long end = file.Length; end > 0;)
        {
            int count = (int)Math.Min(TailBytes, end);
            file.Position = end - count;
            file.ReadExactly(tail, 0, count);
            int at = tail.AsSpan(0, count).LastIndexOf((byte)'\n');
            if (at >= 0)
            {
                return end - count + at + 1;
            }

            end -= count;
        }

        return 0;
    }
}
