using System.Runtime.InteropServices;

namespace Lamina.TestSupport;

/// <summary>What can be planted where a program looks for a file of its own.</summary>
public enum Planted
{
    /// <summary>A link to a file outside that holds just what the program looks for: nothing but the link gives it away.</summary>
    LinkToFile,

    /// <summary>A link to a pipe that nobody writes: opening it never ends.</summary>
    LinkToPipe,
    LinkToFolder,

    /// <summary>A link to nothing, which creating would make.</summary>
    LinkToNothing,

    /// <summary>A pipe in the place itself.</summary>
    Pipe,
}

/// <summary>A folder beside a program's own, where it has no business, and links that lead there. <see cref="Touched"/> says whether anybody was there.</summary>
internal sealed partial class OutsideFolder : IDisposable
{
    private readonly string _folder;
    private OpenWatch? _watch;

    public OutsideFolder(string folder)
    {
        _folder = Directory.CreateDirectory(folder).FullName;
        Assert.Equal(0, MakePipe(Path.Combine(folder, "pipe"), 0x180));
        Directory.CreateDirectory(Path.Combine(folder, "folder"));
        File.WriteAllText(Path.Combine(folder, "folder", "inside.json"), "{}");
    }

    /// <summary>Puts something in the place of a file, or where there is none.</summary>
    public void Plant(Planted what, string path)
    {
        string target = Path.Combine(_folder, $"file-{Guid.NewGuid():N}");
        if (File.Exists(path))
        {
            File.Move(path, target);
        }
        else
        {
            File.WriteAllText(target, "");
        }

        if (what == Planted.Pipe)
        {
            Assert.Equal(0, MakePipe(path, 0x180));
            return;
        }

        File.CreateSymbolicLink(path, what switch
        {
            Planted.LinkToFile => target,
            Planted.LinkToPipe => Path.Combine(_folder, "pipe"),
            Planted.LinkToFolder => Path.Combine(_folder, "folder"),
            _ => Path.Combine(_folder, "nothing"),
        });
    }

    /// <summary>Puts a link in the place of a folder, which moves outside with what it holds.</summary>
    public void PlantFolder(string path)
    {
        string target = Path.Combine(_folder, $"folder-{Guid.NewGuid():N}");
        Directory.Move(path, target);
        Directory.CreateSymbolicLink(path, target);
    }

    /// <summary>From here on <see cref="Touched"/> counts.</summary>
    public void Watch()
    {
        _watch?.Dispose();
        _watch = new OpenWatch([_folder, .. Directory.GetFileSystemEntries(_folder, "*", SearchOption.AllDirectories)]);
    }

    /// <summary>What happened out there since the last look; nothing, if all is well. Each look ends with an opening by the test itself, which must be seen.</summary>
    public List<string> Touched()
    {
        List<string> seen = _watch!.Take();
        File.ReadAllText(Path.Combine(_folder, "folder", "inside.json"));
        Assert.Contains(_watch.Take(), control => control.Contains("inside.json", StringComparison.Ordinal));
        return seen;
    }

    public void Dispose() => _watch?.Dispose();

    [LibraryImport("libc", EntryPoint = "link", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int HardLink(string file, string second);

    [LibraryImport("libc", EntryPoint = "mkfifo", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MakePipe(string path, uint mode);
}
