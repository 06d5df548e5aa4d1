.PHONY: proto
.venv/bin/protoc: ; 
proto:  ## regenerate the committed protobuf code from proto/
	.venv/bin/protoc --proto_path=proto --python_out=src --pyi_out=src $$(cd proto && find . -name '*.proto' | sed 's|^\./||' | LC_ALL=C sort)
