using System.Globalization;
using System.Text;
using k8s.Models;

namespace Lamina.Deploy.Tests.Kubelet;

/// <summary>The script that makes a container's root from the machine's own programs and the image's folder, and becomes the container's process in it.</summary>
internal static class PodRoot
{
    /// <summary>Folder of the .NET runtime, as it is inside.</summary>
    public static string Runtime { get; } = FindRuntime();

    public static string Begin(string root, string app, string names, string host, V1PodSecurityContext security)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $$"""
            set -e
            mount -t tmpfs -o mode=755 tmpfs {{Quote(root)}}
            cd {{Quote(root)}}
            mkdir usr etc proc dev app run run/names
            mount --bind /usr usr
            mount -o remount,ro,bind usr
            for name in bin lib lib64 sbin; do
              if [ -L /$name ]; then ln -s "$(readlink /$name)" $name; elif [ -d /$name ]; then mkdir $name; mount --bind /$name $name; mount -o remount,ro,bind $name; fi
            done
            for name in /etc/ssl /etc/alternatives; do
              if [ -d $name ]; then mkdir .$name; mount --bind $name .$name; mount -o remount,ro,bind .$name; fi
            done
            if [ -f /etc/ld.so.cache ]; then cp /etc/ld.so.cache etc/; fi
            mount -t proc proc proc
            for name in null zero full random urandom; do touch dev/$name; mount --bind /dev/$name dev/$name; done
            mkdir dev/shm
            mount -t tmpfs -o mode=1777,size=64m tmpfs dev/shm
            echo 'hosts: files dns' > etc/nsswitch.conf
            echo 'nameserver 127.0.0.1' > etc/resolv.conf
            echo 'app:x:{{security.RunAsUser}}:{{security.RunAsGroup}}::/:/nonexistent' > etc/passwd
            echo {{Quote(host)}} > etc/hostname
            ln -s /run/names/hosts etc/hosts
            mount --bind {{Quote(names)}} run/names
            mount -o remount,ro,bind run/names
            mount --bind {{Quote(app)}} app
            mount -o remount,ro,bind app

            """);
        if (!Runtime.StartsWith("/usr/", StringComparison.Ordinal))
        {
            text.Append(Mount(Runtime, Runtime, readOnly: true));
        }

        return text.ToString();
    }

    public static string Mount(string source, string target, bool readOnly)
    {
        string inside = Quote("." + target);
        return $"mkdir -p {inside}\nmount --bind {Quote(source)} {inside}\n" + (readOnly ? $"mount -o remount,ro,bind {inside}\n" : "");
    }

    public static string End(IEnumerable<string> command) => $"mount -o remount,ro .\nexec chroot . {string.Join(' ', command.Select(Quote))}\n";

    private static string Quote(string word) => "'" + word.Replace("'", "'\\''", StringComparison.Ordinal) + "'";

    private static string FindRuntime()
    {
        // .../shared/Microsoft.NETCore.App/VERSION/
        string core = System.Runtime.InteropServices.RuntimeEnvironment.GetRuntimeDirectory();
        return Path.GetFullPath(Path.Combine(core, "..", "..", ".."));
    }
}
