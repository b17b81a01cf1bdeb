// Tests run on Linux: they use file modes, signals and /proc.
[assembly: System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
